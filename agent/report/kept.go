package report

import (
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"
)

// kept is the newest message of each key, and which of them are fresh: not given out yet. Fresh ones have a number, so
// that they go out in the order in which they were learnt.
type kept[K comparable, M proto.Message] struct {
	newest map[K]M
	fresh  map[K]uint64
	clock  uint64
}

func newKept[K comparable, M proto.Message]() kept[K, M] {
	return kept[K, M]{newest: make(map[K]M), fresh: make(map[K]uint64)}
}

// put says whether the message is news.
func (k *kept[K, M]) put(key K, message M) bool {
	if known, has := k.newest[key]; has && proto.Equal(known, message) {
		return false
	}
	k.newest[key] = message
	k.touch(key)
	return true
}

func (k *kept[K, M]) touch(key K) {
	k.clock++
	k.fresh[key] = k.clock
}

// touchAll makes everything fresh that is not.
func (k *kept[K, M]) touchAll() {
	for key := range k.newest {
		if k.fresh[key] == 0 {
			k.touch(key)
		}
	}
}

// replace makes messages all there is.
func (k *kept[K, M]) replace(messages []M, key func(M) K) (news, gone bool) {
	left := maps.Clone(k.newest)
	for _, message := range messages {
		delete(left, key(message))
		news = k.put(key(message), message) || news
	}
	for key := range left {
		delete(k.newest, key)
		delete(k.fresh, key)
	}
	return news, len(left) > 0
}

// take gives out what is fresh, which then is not any more.
func (k *kept[K, M]) take() []M {
	keys := slices.SortedFunc(maps.Keys(k.fresh), func(a, b K) int { return int(k.fresh[a]) - int(k.fresh[b]) })
	messages := make([]M, len(keys))
	for i, key := range keys {
		messages[i] = k.newest[key]
	}
	clear(k.fresh)
	return messages
}
