package cardcode

import (
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/google/uuid"
)

const (
	uuidLength = 36

	// Number of candidates by the size of the space, in bits. With 2^30 tokens in the account two draws out of 2^64 values
	// are both taken once in 2^68 operations, four out of 2^40 once in 2^40; below that only many candidates help.
	hugeSpaceBits       = 64
	largeSpaceBits      = 40
	hugeSpaceCandidates = 2
	largeCandidates     = 4
	maxCandidates       = 32

	// A space up to this many values is dealt like a pack of cards, so that drawing without repetition always ends.
	maxDealtSpace = 1024
)

var errUndrawable = errors.New("shape leaves no character to draw")

// Generate draws one value of the shape, each equally likely, from random (crypto/rand.Reader outside of tests). It fails when
// random does or when the shape is not one of ShapeOf.
func Generate(random io.Reader, shape Shape) (Secret, error) {
	if !shape.isDrawable() {
		return "", errUndrawable
	}
	if shape.UUID {
		id, err := uuid.NewRandomFromReader(random)
		if err != nil {
			return "", fmt.Errorf("draw token: %w", err)
		}
		return Secret(shape.Prefix + id.String()), nil
	}
	alphabet := shape.alphabet()
	dice := newDice(random)
	value := make([]byte, 0, len(shape.Prefix)+shape.Length)
	value = append(value, shape.Prefix...)
	for range shape.Length {
		n, err := dice.below(len(alphabet))
		if err != nil {
			return "", fmt.Errorf("draw value: %w", err)
		}
		value = append(value, alphabet[n])
	}
	return Secret(value), nil
}

// Candidates draws distinct values of the shape in random order, for a caller that takes the first one that is free: a few when
// two values hardly ever meet, up to 32 when the space is small, all values when it has fewer. It fails as Generate does.
func Candidates(random io.Reader, shape Shape) ([]Secret, error) {
	if !shape.isDrawable() {
		return nil, errUndrawable
	}
	space := math.Pow(float64(len(shape.alphabet())), float64(shape.Length))
	if !shape.UUID && space <= maxDealtSpace {
		return deal(random, shape, int(space))
	}
	wanted := candidateCount(shape)
	candidates := make([]Secret, 0, wanted)
	drawn := make(map[Secret]bool, wanted)
	for len(candidates) < wanted {
		value, err := Generate(random, shape)
		if err != nil {
			return nil, err
		}
		if !drawn[value] {
			drawn[value] = true
			candidates = append(candidates, value)
		}
	}
	return candidates, nil
}

func (s Shape) isDrawable() bool {
	return s.UUID || s.Length > 0 && s.alphabet() != ""
}

func candidateCount(shape Shape) int {
	bits := float64(shape.Length) * math.Log2(float64(len(shape.alphabet())))
	switch {
	case shape.UUID || bits >= hugeSpaceBits:
		return hugeSpaceCandidates
	case bits >= largeSpaceBits:
		return largeCandidates
	default:
		return maxCandidates
	}
}

// deal shuffles all values of a small space as far as candidates are needed (Fisher and Yates, from the front).
func deal(random io.Reader, shape Shape, space int) ([]Secret, error) {
	dice := newDice(random)
	pack := make([]int, space)
	for i := range pack {
		pack[i] = i
	}
	candidates := make([]Secret, min(space, maxCandidates))
	for i := range candidates {
		offset, err := dice.below(space - i)
		if err != nil {
			return nil, fmt.Errorf("deal values: %w", err)
		}
		pack[i], pack[i+offset] = pack[i+offset], pack[i]
		candidates[i] = shape.valueAt(pack[i])
	}
	return candidates, nil
}

// valueAt counts the values of a shape like numbers whose digits are the alphabet.
func (s Shape) valueAt(index int) Secret {
	alphabet := s.alphabet()
	value := append([]byte(s.Prefix), make([]byte, s.Length)...)
	for i := len(value) - 1; i >= len(s.Prefix); i-- {
		value[i] = alphabet[index%len(alphabet)]
		index /= len(alphabet)
	}
	return Secret(value)
}
