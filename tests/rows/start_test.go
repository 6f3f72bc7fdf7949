package rows

import "testing"

func TestStart(t *testing.T) {
	t.Parallel()
	row(t, "A01 plain GET", func(r *recorder) {
		s := serve(r, publish(r, "probe", ""))
		a := s.get("/")
		if a.status != 200 || a.body[:6] != "probe " {
			r.Errorf("%v", a)
		}
	})
}
