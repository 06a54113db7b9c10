package strictjson

import "bytes"

// fewKeys is up to which number of keys a linear search beats a map.
const fewKeys = 16

// keySet holds the keys of one object to find the one that comes twice. Sets are
// nested as objects are, and share one slice, so that an ordinary body costs no
// allocation for each of its objects.
type keySet struct {
	stack *[]text
	base  int
	many  map[string]struct{}
}

func newKeySet(stack *[]text) keySet {
	return keySet{stack: stack, base: len(*stack)}
}

// add returns whether key is new to the object.
func (k *keySet) add(key text) bool {
	if k.many != nil {
		before := len(k.many)
		k.many[string(key)] = struct{}{}
		return len(k.many) > before
	}
	keys := (*k.stack)[k.base:]
	for _, other := range keys {
		if bytes.Equal(key, other) {
			return false
		}
	}
	*k.stack = append(*k.stack, key)
	if len(keys)+1 > fewKeys {
		k.many = make(map[string]struct{}, 4*fewKeys)
		for _, other := range (*k.stack)[k.base:] {
			k.many[string(other)] = struct{}{}
		}
	}
	return true
}

// has returns whether key is one of the object's.
func (k *keySet) has(key string) bool {
	if k.many != nil {
		_, found := k.many[key]
		return found
	}
	for _, other := range (*k.stack)[k.base:] {
		if string(other) == key {
			return true
		}
	}
	return false
}

// done gives the object's part of the stack back.
func (k *keySet) done() {
	*k.stack = (*k.stack)[:k.base]
}
