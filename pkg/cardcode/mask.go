package cardcode

import "strings"

const (
	// maxShown is the most characters a mask leaves readable after the prefix.
	maxShown = 5
	// shownShare is the part of the drawn characters that may be readable: one in three.
	shownShare = 3
	maskRune   = '*'
)

// Mask hides a value of the shape: the prefix stays, and the hyphens of a UUID; of the secret characters only the last ones, at
// most five and at most a third. A value that has not this shape is hidden whole.
func Mask(shape Shape, value Secret) string {
	clear := value.Reveal()
	drawn, hasPrefix := strings.CutPrefix(clear, shape.Prefix)
	if !hasPrefix || len(drawn) != shape.Length || !isPrintableASCII(drawn) {
		return strings.Repeat(string(maskRune), len(clear))
	}
	masked := []byte(drawn)
	secretLeft := len(drawn)
	if shape.UUID {
		secretLeft -= strings.Count(drawn, "-")
	}
	shown := min(maxShown, secretLeft/shownShare)
	for i := range masked {
		if shape.UUID && masked[i] == '-' {
			continue
		}
		if secretLeft > shown {
			masked[i] = maskRune
		}
		secretLeft--
	}
	return shape.Prefix + string(masked)
}
