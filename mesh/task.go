package mesh

import (
	"context"

	"github.com/meshlark/meshlark/xds/resource"
)

// A Task is what a source is read for.
type Task struct {
	Proxy string // its name
	Stage string // what is read: "clusters", "listeners", or the path of an admin answer
}

func (t Task) String() string { return t.Stage + " of " + t.Proxy }

type taskKey struct{}

func withTask(ctx context.Context, t Task) context.Context {
	return context.WithValue(ctx, taskKey{}, t)
}

// TaskOf tells what the request that the context belongs to is for. Sources and transports name it where they say what is under way.
func TaskOf(ctx context.Context) (Task, bool) {
	t, ok := ctx.Value(taskKey{}).(Task)
	return t, ok
}

// stageOf names the reading of a kind as the language's calls do.
func stageOf(kind resource.Kind) string {
	switch kind {
	case resource.RouteConfig:
		return "routes"
	case resource.Bootstrap, resource.ScopedRoutes:
		return string(kind)
	case "":
		return "configuration"
	default:
		return string(kind) + "s"
	}
}
