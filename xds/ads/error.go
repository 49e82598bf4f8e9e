package ads

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// An Error says what a client asked for, where, and why it has no answer.
type Error struct {
	Address string
	Doing   string // "connect", "ask for clusters and listeners"
	Nonce   string // of the last answer before it; "" when there was none
	Code    string // of gRPC, such as Unavailable; "" when it has none
	Detail  string // what the control plane says
	Next    string // what to do, "" when nobody knows
	Err     error
}

func (e *Error) Error() string {
	text := e.Doing + " at " + e.Address + ": "
	if e.Code != "" {
		text += e.Code + ": "
	}
	if e.Detail != "" {
		text += e.Detail
	} else {
		text += e.Err.Error()
	}
	if e.Nonce != "" {
		text += " (after the answer with nonce " + e.Nonce + ")"
	}
	if e.Next != "" {
		text += "; " + e.Next
	}
	return text
}

func (e *Error) Unwrap() error { return e.Err }

// explain turns an error of gRPC into one that says what to do next.
func (c *Client) explain(ctx context.Context, doing, nonce string, err error) error {
	var own *Error
	if errors.As(err, &own) {
		return err
	}
	e := &Error{Address: c.endpoint.Address, Doing: doing, Nonce: nonce, Err: err}
	s, ok := status.FromError(err)
	if !ok {
		return e
	}
	e.Code, e.Detail = s.Code().String(), detail(s.Message())
	switch s.Code() {
	case codes.Unavailable:
		closed := slices.ContainsFunc([]string{"server preface", "reset by peer", "broken pipe", "EOF"}, func(s string) bool { return strings.Contains(e.Detail, s) })
		switch {
		case strings.Contains(e.Detail, "first record does not look like a TLS handshake"):
			e.Next = "the port speaks plain text; name it with xds://, or --plaintext"
		case strings.Contains(e.Detail, "certificate required") || closed && nonce == "" && c.endpoint.TLS != nil && len(c.endpoint.TLS.Certificates) == 0:
			e.Next = "does the control plane want a certificate of the client? Name the folder that has it with --cert-dir"
		case closed && c.endpoint.TLS == nil:
			e.Next = "is it an ADS port in plain text (15010 of an istiod)? One with TLS is named with xds+tls://"
		case strings.Contains(e.Detail, "certificate"):
			e.Next = "name the folder of the right root-cert.pem with --cert-dir, the server's name with --authority, or trust anybody with --insecure"
		case nonce == "":
			e.Next = "is the control plane up, and this its ADS port (15010 of an istiod)?"
		default:
			e.Next = "the control plane may have restarted; ask again"
		}
	case codes.Unauthenticated:
		e.Next = "the control plane wants to know who asks: a client certificate (--cert-dir) or a token, over TLS (15012 of an istiod)"
	case codes.PermissionDenied:
		e.Next = "the control plane does not let this client be that node; use the identity of the node's own service account, or the port in plain text"
	case codes.Unimplemented:
		e.Next = "the server speaks gRPC and not this form of ADS"
	case codes.InvalidArgument:
		e.Next = "is the node one that the control plane knows? An istiod wants TYPE~IP~POD.NAMESPACE~NAMESPACE.svc.DOMAIN"
	case codes.ResourceExhausted:
		e.Next = fmt.Sprintf("answers may have %d bytes together", c.options.MaxBytes)
	case codes.DeadlineExceeded:
		if ctx.Err() != nil {
			e.Err = context.Cause(ctx)
		}
		e.Detail = fmt.Sprintf("no answer within %s", c.options.Timeout)
		e.Next = "does the control plane know the node? Many answer only for ids that they have a configuration for"
	}
	return e
}

// detail takes gRPC's own words from around the reason.
func detail(message string) string {
	for {
		_, after, ok := strings.Cut(message, "desc = ")
		if !ok {
			break
		}
		message = strings.Trim(after, `"`)
	}
	message = strings.TrimPrefix(message, "transport: ")
	return strings.TrimPrefix(message, "Error while dialing: ")
}
