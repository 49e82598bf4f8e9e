// Package session evaluates Starlark without a terminal: the chunks typed at a
// prompt, scripts, and runbooks with their arguments and checks.
//
// # Prompts
//
// [Session.Eval] runs one chunk of input. Globals live on from chunk to chunk,
// functions see later redefinitions of the globals they use, and the value of
// an expression that ends the chunk is its result. A chunk that is interrupted
// changes no global; one that fails keeps the assignments that ran before the
// error. What a chunk did to a list or dict in place stays in both cases.
//
// # Runbooks
//
// A runbook is a file of Starlark. Its arguments are the top-level assignments
// of the form
//
//	grace = arg("grace", default="30s", type="duration", doc="how long STALE may last")
//
// whose parameters are literals, so that [Inspect] finds them without running
// anything. What check and skip record is in the [Outcome] of the run. Only a
// failed check of severity "error" makes a run fail; "warning" and "info" are
// reported. Both go on; only fail ends the run, with an error.
//
// # Files
//
// Scripts read and load files of the working directory, of their own folder and
// of the folders that the options name, and nothing else: links that lead out
// of these folders are refused. They write below the output folder only. load
// knows neighbours, "./lib.star", relative to the loading file, and what is
// shipped with the program, "@meshlark//lib.star". Every module runs once per
// run.
//
// # Ends
//
// The context of a call reaches every loaded module and every builtin that
// waits. When it ends, the call returns promptly even if some builtin does not;
// what that builtin does later is dropped. Work inside builtins does not count
// as steps: Options.MaxSteps guards against endless loops, it is no limit of
// time or memory.
package session
