package cardcode

import "io"

// diceBuffer is how many random bytes are read at once.
const diceBuffer = 64

// dice draws whole numbers without bias: a raw number beyond the last full multiple of the sides is thrown again, where a plain
// remainder would favour the low sides.
type dice struct {
	random io.Reader
	buffer [diceBuffer]byte
	used   int
}

func newDice(random io.Reader) *dice {
	return &dice{random: random, used: diceBuffer}
}

// below returns 0 … sides-1, each equally likely; sides is 1 … 65536.
func (d *dice) below(sides int) (int, error) {
	const raws = 1 << 16
	fair := raws - raws%sides
	for {
		raw, err := d.uint16()
		if err != nil {
			return 0, err
		}
		if raw < fair {
			return raw % sides, nil
		}
	}
}

func (d *dice) uint16() (int, error) {
	if d.used == len(d.buffer) {
		if _, err := io.ReadFull(d.random, d.buffer[:]); err != nil {
			return 0, err
		}
		d.used = 0
	}
	raw := int(d.buffer[d.used])<<8 | int(d.buffer[d.used+1])
	d.used += 2
	return raw, nil
}
