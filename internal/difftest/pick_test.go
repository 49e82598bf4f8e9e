package difftest

import (
	"encoding/json"
	"math/rand/v2"
)

// A dict is a JSON object while it is being made.
type dict = map[string]any

// A picker makes random choices that a seed repeats.
type picker struct{ *rand.Rand }

func newPicker(seed uint64) picker { return picker{rand.New(rand.NewPCG(seed, 0x6d657368))} }

func (p picker) chance(probability float64) bool { return p.Float64() < probability }

func one[T any](p picker, of ...T) T { return of[p.IntN(len(of))] }

// some are n elements, each at most once.
func some[T any](p picker, n int, of ...T) []T {
	out := append([]T(nil), of...)
	p.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out[:min(n, len(out))]
}

func text(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // a dict that is no JSON is a fault of the generator
	}
	return b
}
