// Package syncz reads what an istiod says about its clients: which of the configuration it sent each of them has
// acknowledged ([Read]), and who is connected and asks for what ([ReadConnections]).
//
// istiod answers this in several forms, which have changed over the years; all give the same [Client]. Nothing is
// fetched here. A fault in a body gives an [*Error].
package syncz
