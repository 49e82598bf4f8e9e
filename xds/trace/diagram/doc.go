// Package diagram draws a trace: as a tree of text, as a Mermaid flowchart, and as an SVG picture.
//
// The three say the same: how the request ends, and for each proxy on its way the listener, the filter chain, the filters, the virtual host, the
// route, the cluster and the endpoints with their shares, each with the reason it was chosen and the Istio object it was made from. What lost is folded
// unless it came close; what could not be decided, and the filters that may answer by themselves, are never left out.
//
// Nothing of a name can leave its place in a drawing: characters that mean something there are escaped, and those that no terminal
// should be sent, such as escape sequences and marks that reverse the direction of writing, appear as \u202e does here.
package diagram
