// Package strictjson reads request bodies more strictly than encoding/json does.
//
// Purpose: a body is either unambiguous or refused. encoding/json matches keys
// without regard to case, lets the last of two equal keys win, mends broken
// UTF-8 and stops after the first value; each of these lets a request mean one
// thing to a validator and another to the handler. What Check accepts,
// encoding/json decodes to the same value. Canonical gives one text for each
// value, for storing and comparing free-form objects.
//
// On the way it tells whether the value also keeps the schema's rules, as OpenAPI
// understands them: one reading of the body decides about most requests.
//
// Non-goals: saying which rule a value breaks (the OpenAPI validator's work, for
// the few that do), and decoding into Go values (encoding/json's, afterwards).
//
// The surprising decision: problems name neither a value that was sent nor an
// unknown key. Bodies carry PINs and tokens, now and then as keys, and error
// texts end up in logs; a pointer therefore ends at the last key that the schema
// knows.
package strictjson

// Limits that hold for every body, whatever its schema.
const (
	// MaxDepth is how many objects and arrays may be nested, the outermost one
	// included.
	MaxDepth = 64
	// MaxProblems is how many problems Check reports before it gives up reading.
	MaxProblems = 16
)

// Kind is the JSON type that a schema asks for.
type Kind uint8

// The kinds. Any, the zero value, stands for a value of every kind but null.
const (
	Any Kind = iota
	Object
	Array
	String
	Number
	Boolean
)

// String returns the kind with its article, as it stands in reasons.
func (k Kind) String() string {
	switch k {
	case Object:
		return "an object"
	case Array:
		return "an array"
	case String:
		return "a string"
	case Number:
		return "a number"
	case Boolean:
		return "true or false"
	case Any:
	}
	return "a value"
}

// Schema says what Check needs to know of a value. It is built once and only read
// afterwards, so that any number of requests may share it.
type Schema struct {
	Kind Kind
	// Properties are the known keys of an object. A key that is not among them is
	// allowed unless it differs from one of them in case only.
	Properties map[string]*Schema
	// Items describes the elements of an array; nil leaves them unexamined but for
	// what holds everywhere.
	Items *Schema
	// Nullable allows null in place of the value.
	Nullable bool
	// FreeForm bounds an object whose keys belong to the client; nil means that it
	// is not one.
	FreeForm *FreeForm
	// Integer asks for a number written without fraction and exponent, and within
	// int64.
	Integer bool
	// DateTime asks for a string that is a time of RFC 3339 with a zone, as
	// time.Parse accepts it, whose year in UTC is 1 to 9999.
	DateTime bool

	// Rules are what else a value must keep.
	Rules
}

// Rules are those of OpenAPI that concern a value which is well written. Breaking
// one is no [Problem]: the value only does not conform. The zero value allows
// everything.
type Rules struct {
	// Required are the keys that an object must have.
	Required []string
	// Range bounds an integer; nil does not.
	Range *Range
	// MinLength and MaxLength bound a string, in characters; a MaxLength of 0 does not.
	MinLength, MaxLength int
	// Pattern tells whether it allows a string; nil allows every one.
	Pattern func(content []byte) bool
	// Enum lists the strings that are allowed; without any all are.
	Enum []string
	// MinItems and MaxItems bound an array; a MaxItems of 0 does not.
	MinItems, MaxItems int
}

// Range is a range of integers, both ends included.
type Range struct{ Min, Max int64 }

// FreeForm bounds a free-form object. Zero means no bound of its own.
type FreeForm struct {
	// MaxBytes bounds the object's JSON text as it was sent, braces and white
	// space included. Its canonical text is never longer.
	MaxBytes int
	// MaxDepth bounds how many objects and arrays are nested; the free-form object
	// itself is the first level.
	MaxDepth int
}

// Problem is one reason to refuse a body. It holds nothing that was sent.
type Problem struct {
	// Pointer is the JSON pointer (RFC 6901) of the value, or of the innermost
	// known one around it; "" is the whole body.
	Pointer string
	// Reason completes the sentence "the value …".
	Reason string
}
