package strictjson

import "unicode/utf8"

// AllowsText tells whether a string keeps the rules.
func (r *Rules) AllowsText(content []byte) bool {
	if r.MinLength > 0 || r.MaxLength > 0 {
		length := utf8.RuneCount(content)
		if length < r.MinLength || (r.MaxLength > 0 && length > r.MaxLength) {
			return false
		}
	}
	return r.listed(content) && (r.Pattern == nil || r.Pattern(content))
}

func (r *Rules) listed(content []byte) bool {
	for _, allowed := range r.Enum {
		if allowed == string(content) {
			return true
		}
	}
	return len(r.Enum) == 0
}

// AllowsInteger tells whether an integer keeps the rules.
func (r *Rules) AllowsInteger(n int64) bool {
	return r.Range == nil || (r.Range.Min <= n && n <= r.Range.Max)
}

// AllowsItems tells whether an array may have so many items.
func (r *Rules) AllowsItems(count int) bool {
	return count >= r.MinItems && (r.MaxItems == 0 || count <= r.MaxItems)
}

// hasRequired tells whether an object has the keys that it must have.
func (r *Rules) hasRequired(keys keySet) bool {
	for _, required := range r.Required {
		if !keys.has(required) {
			return false
		}
	}
	return true
}
