package cardcode

import "strings"

// Symbols with a meaning of their own in Code 128.
const (
	switchToC  = 99
	switchToB  = 100
	startB     = 104
	startC     = 105
	checkPrime = 103
)

const (
	// symbolBars is the number of bars and spaces in a symbol.
	symbolBars = 6

	// symbolWidths holds the bars and spaces of the symbols 0 … 105, in modules.
	symbolWidths = "" +
		"212222222122222221121223121322131222122213122312132212221213" +
		"221312231212112232122132122231113222123122123221223211221132" +
		"221231213212223112312131311222321122321221312212322112322211" +
		"212123212321232121111323131123131321112313132113132311211313" +
		"231113231311112133112331132131113123113321133121313121211331" +
		"231131213113213311213131311123311321331121312113312311332111" +
		"314111221411431111111224111422121124121421141122141221112214" +
		"112412122114122411142112142211241211221114413111241112134111" +
		"111242121142121241114212124112124211411212421112421211212141" +
		"214121412121111143111341131141114113114311411113411311113141" +
		"114131311141411131211412211214211232"
	stopWidths = "2331112"
)

// code128Symbols encodes printable ASCII from the start symbol to the check symbol. Set C, two digits in one symbol, is used where
// it makes the code shorter.
func code128Symbols(text string) []int {
	symbols := make([]int, 0, len(text)+2)
	inC := digitsAt(text, 0) >= 4 || len(text) == 2 && digitsAt(text, 0) == 2
	if inC {
		symbols = append(symbols, startC)
	} else {
		symbols = append(symbols, startB)
	}
	for i := 0; i < len(text); {
		digits := digitsAt(text, i)
		switch {
		case inC && digits >= 2:
			symbols = append(symbols, int(text[i]-'0')*10+int(text[i+1]-'0'))
			i += 2
		case inC:
			symbols = append(symbols, switchToB)
			inC = false
		case digits%2 == 0 && worthC(digits, i+digits == len(text)):
			symbols = append(symbols, switchToC)
			inC = true
		default:
			symbols = append(symbols, int(text[i]-' '))
			i++
		}
	}
	return append(symbols, checkSymbol(symbols))
}

// worthC weighs the symbols saved by pairing digits against the one or two that switch there and back.
func worthC(digits int, atEnd bool) bool {
	return digits >= 6 || atEnd && digits >= 4
}

func digitsAt(text string, start int) int {
	rest := text[start:]
	return len(rest) - len(strings.TrimLeft(rest, Numbers))
}

func checkSymbol(symbols []int) int {
	sum := symbols[0]
	for position, symbol := range symbols {
		sum += position * symbol
	}
	return sum % checkPrime
}

func code128Widths(symbols []int) string {
	var widths strings.Builder
	for _, symbol := range symbols {
		widths.WriteString(symbolWidths[symbol*symbolBars:][:symbolBars])
	}
	widths.WriteString(stopWidths)
	return widths.String()
}
