package resource

import (
	"sync/atomic"
	"weak"

	"github.com/meshlark/meshlark/xds/rawjson"
)

// A decodedCache remembers decoded values for as long as somebody uses them or the collector leaves them.
type decodedCache struct {
	p atomic.Pointer[weak.Pointer[any]]
}

func (c *decodedCache) get(raw []byte) (any, error) {
	if p := c.p.Load(); p != nil {
		if v := p.Value(); v != nil {
			return *v, nil
		}
	}
	v, err := rawjson.Decode(raw)
	if err != nil {
		return nil, err
	}
	box := new(any)
	*box = v
	p := weak.Make(box)
	c.p.Store(&p)
	return v, nil
}
