package sitefile

// Field is a field that Parse knows.
type Field struct {
	// Path is as in a problem's, with [] for every entry of a list.
	Path string
	Kind FieldKind
}

// FieldKind is the form of a field's value.
type FieldKind string

const (
	// Mapping has the fields below its path, and no others.
	Mapping FieldKind = "mapping"
	// Pairs is a mapping of names that are the operator's, each with a text.
	Pairs FieldKind = "pairs"
	// List has entries with the path of the list and [].
	List FieldKind = "list"
	// Text is any scalar, as it is spelled.
	Text FieldKind = "text"
	// Number is a whole number.
	Number FieldKind = "number"
	// Flag is true or false.
	Flag FieldKind = "flag"
	// Duration is a length of time as 20s, 2m or 1h.
	Duration FieldKind = "duration"
	// Size is a number of bytes as 30MB, 64KiB or 500, or none.
	Size FieldKind = "size"
)

// Fields gives every field that Parse knows, what holds others before them: the readers themselves name it.
func Fields() []Field {
	var all []Field
	r := &reader{places: map[string]place{}, describing: &all}
	r.site(nil)
	return all
}

// described notes the form of a field while fields are described, and says so.
func (r *reader) described(path string, kind FieldKind) bool {
	if r.describing == nil {
		return false
	}
	*r.describing = append(*r.describing, Field{path, kind})
	return true
}
