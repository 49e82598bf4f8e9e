package lab

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"text/template"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
)

//go:embed manifests
var manifests embed.FS

// The users that the API server knows, by the contexts of the kubeconfig and beyond. The lab itself and istiod have users of their own, so that
// the audit log tells who asked for what.
const (
	userLab    = "lab-admin"  // the lab itself
	userIstiod = "lab-istiod" // both istiods
	userAll    = "lab-user"   // context "lab": may do everything
	userReader = "lab-reader" // context "lab-reader": may get, list and watch everything and forward ports
)

// auditPolicy has each request written once, when it is answered or, for what goes on for long, when it starts to be.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules: [{level: Metadata}]
`

// A cluster is the API server and what the lab needs to change what it holds.
type cluster struct {
	process *process
	config  *rest.Config
	audit   string

	client dynamic.Interface
	mapper *restmapper.DeferredDiscoveryRESTMapper
	files  map[string]string // kubeconfigs by user
}

// startCluster starts etcd and the API server at an address and waits until it serves.
func startCluster(ctx context.Context, s *spawner, ca *authority, program, dir, address string) (*cluster, error) {
	port, err := freePort(address)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of the API server: %w", err)
	}
	chain, key, err := ca.server(address)
	if err != nil {
		return nil, err
	}
	_, signing, err := ca.host("service-accounts")
	if err != nil {
		return nil, err
	}
	tokens, csv := map[string]string{}, ""
	for _, user := range []string{userLab, userIstiod, userAll, userReader} {
		tokens[user] = user + "-token"
		group := "system:masters"
		if user == userReader {
			group = "lab-readers"
		}
		csv += fmt.Sprintf("%s,%s,%s,%s\n", tokens[user], user, user, group)
	}
	in := func(name string) string { return filepath.Join(dir, name) }
	for name, text := range map[string][]byte{
		"server.crt": chain, "server.key": key, "accounts.key": signing, "ca.crt": ca.pem, "tokens.csv": []byte(csv), "audit-policy.yaml": []byte(auditPolicy),
	} {
		if err := os.WriteFile(in(name), text, 0o600); err != nil {
			return nil, fmt.Errorf("write the files of the API server: %w", err)
		}
	}
	server := "https://" + net.JoinHostPort(address, strconv.Itoa(port))
	c := &cluster{audit: in("audit.log"), files: map[string]string{}}
	for user, contexts := range map[string][]string{userIstiod: {userIstiod}, userAll: {userAll, userReader}} {
		c.files[user] = in("kubeconfig-" + user)
		if err := os.WriteFile(c.files[user], kubeconfig(server, ca.pem, contexts, tokens), 0o600); err != nil {
			return nil, fmt.Errorf("write a kubeconfig: %w", err)
		}
	}
	c.process, err = s.start("apiserver", dir, nil, program, "--dir", dir, "--etcd-address", address, "--",
		"--bind-address="+address, "--advertise-address="+address, "--secure-port="+strconv.Itoa(port),
		"--tls-cert-file="+in("server.crt"), "--tls-private-key-file="+in("server.key"),
		"--service-account-issuer=https://kubernetes.default.svc", "--api-audiences=istio-ca,https://kubernetes.default.svc",
		"--service-account-key-file="+in("accounts.key"), "--service-account-signing-key-file="+in("accounts.key"),
		"--token-auth-file="+in("tokens.csv"), "--authorization-mode=RBAC",
		"--service-cluster-ip-range=10.96.0.0/16", "--endpoint-reconciler-type=none", "--allow-privileged=true",
		// No controller makes the default account of a namespace, which this plugin would have pods wait for.
		"--disable-admission-plugins=ServiceAccount",
		"--kubelet-preferred-address-types=InternalIP",
		"--audit-policy-file="+in("audit-policy.yaml"), "--audit-log-path="+c.audit, "--audit-log-mode=blocking",
		"--shutdown-delay-duration=0s")
	if err != nil {
		return nil, err
	}
	c.config = &rest.Config{
		Host: server, BearerToken: tokens[userLab], TLSClientConfig: rest.TLSClientConfig{CAData: ca.pem},
		QPS: -1, Timeout: 30 * time.Second, UserAgent: "meshlark-lab",
	}
	if err := c.connect(ctx); err != nil {
		return nil, err
	}
	return c, nil
}

func kubeconfig(server string, ca []byte, users []string, tokens map[string]string) []byte {
	type object = map[string]any
	var userEntries, contexts []object
	for _, user := range users {
		name := user
		if user == userAll {
			name = "lab"
		}
		userEntries = append(userEntries, object{"name": user, "user": object{"token": tokens[user]}})
		contexts = append(contexts, object{"name": name, "context": object{"cluster": "lab", "user": user}})
	}
	text, err := json.MarshalIndent(object{
		"apiVersion": "v1", "kind": "Config",
		"clusters":        []object{{"name": "lab", "cluster": object{"server": server, "certificate-authority-data": ca}}},
		"users":           userEntries,
		"contexts":        contexts,
		"current-context": contexts[0]["name"],
	}, "", "  ")
	if err != nil {
		panic(err) // strings and bytes only
	}
	return append(text, '\n')
}

// connect makes the clients and waits until the API server is ready.
func (c *cluster) connect(ctx context.Context) error {
	client, err := rest.HTTPClientFor(c.config)
	if err != nil {
		return fmt.Errorf("make a client of the API server: %w", err)
	}
	err = poll(ctx, 2*time.Minute, "the API server to be ready", c.process, func() (bool, string) {
		status, body, err := get(ctx, client, c.config.Host+"/readyz")
		if err != nil {
			return false, err.Error()
		}
		return status == http.StatusOK, string(body)
	})
	if err != nil {
		return err
	}
	if c.client, err = dynamic.NewForConfigAndClient(c.config, client); err != nil {
		return fmt.Errorf("make a client of the API server: %w", err)
	}
	d, err := discovery.NewDiscoveryClientForConfigAndClient(c.config, client)
	if err != nil {
		return fmt.Errorf("make a client of the API server: %w", err)
	}
	c.mapper = restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(d))
	return nil
}

// fill gives a manifest of the lab with its blanks filled in.
func fill(name string, values any) ([]byte, error) {
	text, err := manifests.ReadFile("manifests/" + name)
	if err != nil {
		return nil, err
	}
	t, err := template.New(name).Delims("[[", "]]").Option("missingkey=error").Parse(string(text))
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := t.Execute(&b, values); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// decode reads the objects of a manifest in YAML or JSON.
func decode(manifest []byte) ([]*unstructured.Unstructured, error) {
	var out []*unstructured.Unstructured
	for d := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(manifest), 4096); ; {
		o := &unstructured.Unstructured{}
		if err := d.Decode(&o.Object); errors.Is(err, io.EOF) {
			return out, nil
		} else if err != nil {
			return nil, fmt.Errorf("read the objects to apply: %w", err)
		}
		if len(o.Object) > 0 {
			out = append(out, o)
		}
	}
}

// resource is where the API server has the objects of the kind of o, in the namespace of o, by default "default".
func (c *cluster) resource(o *unstructured.Unstructured) (dynamic.ResourceInterface, error) {
	kind := o.GroupVersionKind()
	m, err := c.mapper.RESTMapping(schema.GroupKind{Group: kind.Group, Kind: kind.Kind}, kind.Version)
	if err != nil {
		return nil, fmt.Errorf("find the resource of %v: %w", kind, err)
	}
	if m.Scope.Name() != meta.RESTScopeNameNamespace {
		return c.client.Resource(m.Resource), nil
	}
	if o.GetNamespace() == "" {
		o.SetNamespace(metav1.NamespaceDefault)
	}
	return c.client.Resource(m.Resource).Namespace(o.GetNamespace()), nil
}

// apply makes an object what it says here, its status included, and gives what it became.
func (c *cluster) apply(ctx context.Context, o *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	r, err := c.resource(o)
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	force := true
	opts := metav1.PatchOptions{FieldManager: "meshlark-lab", Force: &force}
	applied, err := r.Patch(ctx, o.GetName(), types.ApplyPatchType, body, opts)
	if err == nil && o.Object["status"] != nil {
		applied, err = r.Patch(ctx, o.GetName(), types.ApplyPatchType, body, opts, "status")
	}
	if err != nil {
		return nil, fmt.Errorf("apply %s %s.%s: %w", o.GetKind(), o.GetName(), o.GetNamespace(), err)
	}
	return applied, nil
}

// applyAll applies the objects of a manifest, in their order.
func (c *cluster) applyAll(ctx context.Context, manifest []byte) error {
	objects, err := decode(manifest)
	if err != nil {
		return err
	}
	for _, o := range objects {
		if _, err := c.apply(ctx, o); err != nil {
			return err
		}
	}
	return nil
}

// deleteAll deletes the objects of a manifest; those that are not there do not matter.
func (c *cluster) deleteAll(ctx context.Context, manifest []byte) error {
	objects, err := decode(manifest)
	if err != nil {
		return err
	}
	return c.delete(ctx, objects...)
}

func (c *cluster) delete(ctx context.Context, objects ...*unstructured.Unstructured) error {
	var failed []error
	now := int64(0) // no kubelet would confirm that a pod has ended
	for _, o := range objects {
		r, err := c.resource(o)
		if err == nil {
			err = r.Delete(ctx, o.GetName(), metav1.DeleteOptions{GracePeriodSeconds: &now})
		}
		if err != nil && !apierrors.IsNotFound(err) {
			failed = append(failed, fmt.Errorf("delete %s %s: %w", o.GetKind(), o.GetName(), err))
		}
	}
	return errors.Join(failed...)
}

// applyDefinitions applies the resource definitions of Istio and waits until they are served.
func (c *cluster) applyDefinitions(ctx context.Context, file string) error {
	manifest, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read Istio's resource definitions: %w", err)
	}
	objects, err := decode(manifest)
	if err != nil {
		return err
	}
	for _, o := range objects {
		if _, err := c.apply(ctx, o); err != nil {
			return err
		}
	}
	for _, o := range objects {
		r, err := c.resource(o)
		if err != nil {
			return err
		}
		err = poll(ctx, time.Minute, "the API server to serve "+o.GetName(), c.process, func() (bool, string) {
			now, err := r.Get(ctx, o.GetName(), metav1.GetOptions{})
			if err != nil {
				return false, err.Error()
			}
			conditions, _, _ := unstructured.NestedSlice(now.Object, "status", "conditions")
			for _, condition := range conditions {
				if m, ok := condition.(map[string]any); ok && m["type"] == "Established" && m["status"] == "True" {
					return true, ""
				}
			}
			return false, fmt.Sprint(conditions)
		})
		if err != nil {
			return err
		}
	}
	c.mapper.Reset()
	return nil
}

// fetch gives an object as the API server has it.
func (c *cluster) fetch(ctx context.Context, o *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	r, err := c.resource(o)
	if err != nil {
		return nil, err
	}
	now, err := r.Get(ctx, o.GetName(), metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("get %s %s: %w", o.GetKind(), o.GetName(), err)
	}
	return now, nil
}

// token asks for a token of a service account for istiod.
func (c *cluster) token(ctx context.Context, namespace, account string) (string, error) {
	request := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
		"metadata": map[string]any{"name": account, "namespace": namespace},
		"spec":     map[string]any{"audiences": []any{"istio-ca"}, "expirationSeconds": int64(24 * 3600)},
	}}
	accounts := c.client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "serviceaccounts"}).Namespace(namespace)
	answer, err := accounts.Create(ctx, request, metav1.CreateOptions{}, "token")
	if err != nil {
		return "", fmt.Errorf("get a token of account %s.%s: %w", account, namespace, err)
	}
	token, _, err := unstructured.NestedString(answer.Object, "status", "token")
	return token, err
}
