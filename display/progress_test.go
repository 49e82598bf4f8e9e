package display

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		p := NewProgress(&out, Style{Width: 20}, Patience)

		p.Update("quick")
		time.Sleep(Patience / 2)
		p.Clear()
		time.Sleep(time.Second)
		synctest.Wait()
		if out.Len() > 0 {
			t.Errorf("work that was done in %v shows %q", Patience/2, out.String())
		}

		p.Update("clusters: 1 of 4000 proxies")
		time.Sleep(Patience + redraw/2)
		p.Update("clusters: 2 of 4000 proxies")
		synctest.Wait()
		if want := "\rclusters:…0 proxies\x1b[K"; out.String() != want {
			t.Errorf("after %v: %q, want %q", Patience, out.String(), want)
		}
		out.Reset()
		time.Sleep(redraw)
		synctest.Wait()
		if got := strings.Count(out.String(), "\r"); got != 1 {
			t.Errorf("drawn %d times within %v: %q", got, redraw, out.String())
		}
		out.Reset()
		p.Clear()
		p.Clear()
		if want := "\r\x1b[K"; out.String() != want {
			t.Errorf("Clear writes %q, want %q", out.String(), want)
		}
		out.Reset()
		time.Sleep(time.Second)
		synctest.Wait()
		if out.Len() > 0 {
			t.Errorf("after Clear: %q", out.String())
		}

		var none *Progress
		none.Update("nobody looks")
		none.Clear()
	})
}
