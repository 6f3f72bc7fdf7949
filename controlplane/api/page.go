package api

import (
	"slices"
	"sort"
)

const (
	defaultPage = 500
	maxPage     = 1000
)

// page cuts one page out of names in order; the token is the last name of the page before.
func page(names []string, size int32, token string) (part []string, next string, err error) {
	if size < 0 || size > maxPage {
		return nil, "", problem("page_size", "%d is not 1 to %d", size, maxPage)
	}
	if size == 0 {
		size = defaultPage
	}
	slices.Sort(names)
	from := sort.Search(len(names), func(i int) bool { return names[i] > token })
	names = names[from:]
	if len(names) <= int(size) {
		return names, "", nil
	}
	return names[:size], names[size-1], nil
}
