package scenario

import (
	"encoding/binary"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/recycle"
	"github.com/ancora-fleet/ancora/tests/lab"
)

// zoneWhere writes a time zone with one offset for ever, and gives it with its file: times of day have no seconds, so a zone that is
// off by some is how the next one comes soon.
func zoneWhere(t *testing.T, dir string, offset time.Duration) (*time.Location, string) {
	t.Helper()
	file := append([]byte("TZif"), make([]byte, 16)...) // of RFC 9636: version 1, 15 bytes that mean nothing
	for _, n := range []uint32{0, 0, 0, 0, 1, 4} {      // one type of time, and four bytes of its name
		file = binary.BigEndian.AppendUint32(file, n)
	}
	file = binary.BigEndian.AppendUint32(file, uint32(offset/time.Second))
	file = append(file, 0, 0)
	file = append(file, "LAB\x00"...)
	z, err := time.LoadLocationFromTZData("LAB", file)
	if err != nil {
		t.Fatal(err)
	}
	return z, lab.Write(t, dir, "zone", string(file))
}

// At a time of day an application is recycled once, not a moment sooner, and nothing is dropped.
func TestRecycleSchedule(t *testing.T) {
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	name := "shop"
	for n := 0; recycle.Spread(host, name, "/")*300 >= 1; n++ { // this host's part of 5 minutes is less than a second
		name = fmt.Sprint("shop", n)
	}
	dir := lab.Dir(t)
	const ahead = 20 * time.Second
	begin := time.Now().UTC()
	turn := begin.Truncate(time.Second).Add(ahead)
	zone, file := zoneWhere(t, dir, turn.Round(time.Minute).Sub(turn))
	t.Setenv("TZ", file)
	turn = turn.In(zone) // a full minute there
	clock := func(at time.Time) string { return at.Format("15:04") }
	root := lab.Folder(t, dir, "root", nil)
	// What was ten minutes ago was before the instance, and is no reason.
	more := fmt.Sprintf("recycle: {schedule: [%q, %q]}\n", clock(turn.Add(-10*time.Minute)), clock(turn))
	s := serve(t, dir, lab.Write(t, dir, "site.yaml", siteText(name, root, more, lab.Bin(t, "childapp"))))
	before := s.pid(t)
	const loaded = 4 * time.Second
	if left := time.Until(turn); left < loaded {
		t.Fatalf("the first instance took so long that %v are left", left)
	}
	lab.Wait(t.Context(), time.Until(turn)-loaded)
	if now := s.pid(t); now != before || strings.Contains(s.Log(), "instance recycled") {
		t.Fatalf("process %d answers before its time, was %d\n%s", now, before, s.Log())
	}
	load := startPosts(t, s.address)
	lab.Eventually(t, func() string {
		if s.pid(t) == before {
			return "not recycled"
		}
		if early := time.Until(turn); early > 0 {
			t.Fatalf("recycled %v too early", early)
		}
		return ""
	})
	load.across(t, 2000, 50)
	s.event(t, "[5076]", "recycled: schedule", "recycle.schedule has "+clock(turn)+", here ")
	if n := strings.Count(s.Log(), "instance recycled"); n != 1 {
		t.Errorf("recycled %d times\n%s", n, s.Log())
	}
	if _, counts := adminGet(t, dir+"/data", "/metrics"); !strings.Contains(counts, `ancora_recycles_total{application="/",reason="schedule",site="`+name+`"} 1`) {
		t.Errorf("not counted:\n%s", counts)
	}
}
