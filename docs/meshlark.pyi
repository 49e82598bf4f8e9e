# Generated from the registry of the language; `go test ./builtins/reference -update` writes it anew.
from typing import Any, Callable, Iterator, Literal

class Value:
    """What every value of meshlark can do: jq and its JSON and YAML forms."""
    def jq(self, f: str, each: bool = False, **vars: Any) -> list:
        """The outputs of a jq filter, always as a list. A resource is its body, a collection the array of bodies."""
    def jq1(self, f: str, each: bool = False, **vars: Any) -> Any:
        """The one output of a jq filter. It is an error when there is none or more than one."""
    def json(self, indent: str = "  ") -> str:
        """The JSON form as text. Of a resource that is what Envoy or the control plane sent, with secrets taken out."""
    def yaml(self) -> str:
        """The JSON form written as YAML."""

class Resource(Value):
    """What every resource of a proxy's configuration has."""
    @property
    def name(self) -> str:
        """The name the proxy knows the resource by."""
    @property
    def kind(self) -> str:
        """What the resource configures."""
    @property
    def state(self) -> Literal["active", "static", "warming", "draining", "error"]:
        """Where in its life the resource is. Calls give active and static resources unless another state is asked for."""
    @property
    def static(self) -> bool:
        """Whether it comes from the bootstrap rather than from the control plane."""
    @property
    def version_info(self) -> str:
        """The version under which the control plane sent it, \"\" when that is not known."""
    @property
    def last_updated(self) -> Any | None:
        """When the proxy took it over."""
    @property
    def error(self) -> Rejection | None:
        """Why the proxy rejected the last update of this resource."""
    @property
    def proxy(self) -> Proxy | None:
        """The proxy that has it, None for one that a script made."""
    @property
    def source(self) -> str:
        """The source it was read from."""
    @property
    def raw(self) -> JSONObject | None:
        """The body as nested values, keys in the order they were sent. Fields that have their default value are not in it."""
    @property
    def origin_refs(self) -> list:
        """Which objects of Kubernetes it was made from, by the marks that Istio leaves in it: kind, group, name, namespace, host (of a Service or ServiceEntry) and mark, which is what tells: metadata, services, policy (the id of an RBAC policy) or name. Nothing is fetched."""
    def origins(self) -> KubernetesObjects:
        """The objects of Kubernetes it was made from, fetched: those of origin_refs that there are. Those of the proxy's own cluster are preferred. For listeners and route tables of a gateway's plain ports, which name none, the Gateways that open the port on it are given. What Istio leaves no mark of (EnvoyFilter, Telemetry, PeerAuthentication, RequestAuthentication) is not among them."""

class Part(Value):
    """What every part of a resource has: a filter chain, a virtual host, a route, an endpoint."""
    @property
    def proxy(self) -> Proxy | None:
        """The proxy that has it, None for a part of something a script made."""
    @property
    def source(self) -> str:
        """The source it was read from."""
    @property
    def raw(self) -> JSONObject | None:
        """The body as nested values."""
    @property
    def origin_refs(self) -> list:
        """Which objects of Kubernetes it was made from, by the marks that Istio leaves in it: kind, group, name, namespace, host (of a Service or ServiceEntry) and mark, which is what tells: metadata, services, policy (the id of an RBAC policy) or name. Nothing is fetched."""
    def origins(self) -> KubernetesObjects:
        """The objects of Kubernetes it was made from, fetched: those of origin_refs that there are. Those of the proxy's own cluster are preferred. For listeners and route tables of a gateway's plain ports, which name none, the Gateways that open the port on it are given. What Istio leaves no mark of (EnvoyFilter, Telemetry, PeerAuthentication, RequestAuthentication) is not among them."""

class Rejection(Value):
    """Why a proxy rejected an update of a resource."""
    @property
    def details(self) -> str:
        """The reason in Envoy's words, which may hold all of the resource."""
    @property
    def reason(self) -> str:
        """The same on one line."""
    @property
    def last_attempt(self) -> Any | None:
        """When the proxy rejected it last."""
    @property
    def version_info(self) -> str:
        """The version of the rejected update."""
    @property
    def failed(self) -> JSONObject | None:
        """The rejected configuration, where the dump has it."""

class Failure(Value):
    """A part of an answer that could not be had."""
    @property
    def proxy(self) -> str | None:
        """The proxy that failed, None when a whole source did."""
    @property
    def source(self) -> str:
        """The source it was read from."""
    @property
    def stage(self) -> str:
        """What was attempted."""
    @property
    def reason(self) -> str:
        """Why it failed."""

class JSONObject(Value):
    """A JSON object as it was sent. It works like a dict that cannot be changed; its members are attributes as well, unless a method has the name."""
    def __getitem__(self, key: str) -> Any: ...
    def __contains__(self, key: Any) -> bool: ...
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[str]: ...
    def __getattr__(self, name: str) -> Any: ...
    def get(self, key: str, default: Any = None) -> Any:
        """A member, or the default when there is none."""
    def keys(self) -> list:
        """The names of the members in order."""
    def values(self) -> list:
        """The members' values in order."""
    def items(self) -> list:
        """The members as pairs of name and value, in order."""

class JSONArray(Value):
    """A JSON array as it was sent. It works like a list that cannot be changed."""
    def __getitem__(self, i: Any) -> Any: ...
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Any]: ...

class Table:
    """Rows and columns of a script's choice: what table(...) gives. Iterating gives the rows as tuples."""
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[tuple]: ...

class Filter:
    """A jq filter that waits for its input on the left of |: what jq(f) gives when called with the filter alone."""
    def __ror__(self, left: Any) -> list: ...

class Collection(Value):
    """What calls of the plural kind give. It can be indexed and sliced, has a length, is false when empty, tests names with `in`, joins with +, and b - a is diff(a, b)."""
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Any]: ...
    def __getitem__(self, i: Any) -> Any: ...
    def __contains__(self, x: Any) -> bool: ...
    def __add__(self, other: Any) -> Any: ...
    def where(self, fn: Callable | None = None, **fields: Any) -> Collection:
        """The elements that pass a test. Tests are a function, fields, or both; all must hold."""
    def by(self, key: str | Callable) -> dict:
        """The elements in groups: a dict from each key to the collection of its elements."""
    @property
    def names(self) -> list:
        """The names of the elements."""
    def one(self) -> Any:
        """The element, when there is exactly one. Otherwise an error that lists them."""
    def origins(self) -> KubernetesObjects:
        """Of parts of a configuration: the objects of Kubernetes that they were made from, fetched, each once; see Resource.origins."""
    @property
    def errors(self) -> list:
        """What could not be had: each with proxy, source, stage and reason."""
    def table(self, *columns: Any) -> Table:
        """The elements as a table with the columns given, or their usual ones."""

class Mesh(Value):
    """A mesh: what one or several sources know of its proxies and control planes. Its calls are also functions, which ask the session's mesh."""
    @property
    def name(self) -> str:
        """What the mesh is called: its sources, unless it was given a name."""
    @property
    def sources(self) -> list:
        """What it is read from, as they were named."""
    @property
    def live(self) -> bool:
        """Whether any source shows the mesh as it is now, rather than a recording."""
    @property
    def now(self) -> Any:
        """The mesh's clock: the wall clock when it is live, the time of capture of a recording. Ages and time.now() go by it."""
    def proxies(self, name: str | None = None, namespace: str | None = None, workload: str | None = None, labels: dict | None = None, cluster_id: str | None = None, type: Literal["sidecar", "router", "waypoint", "ztunnel", "agentgateway"] | None = None, connected: bool | None = None, *, ready: bool | None = None, revision: str | None = None, share: bool = False, cds: Literal["SYNCED", "STALE", "NOT_SENT", "ERROR"] | None = None, lds: Literal["SYNCED", "STALE", "NOT_SENT", "ERROR"] | None = None, eds: Literal["SYNCED", "STALE", "NOT_SENT", "ERROR"] | None = None, rds: Literal["SYNCED", "STALE", "NOT_SENT", "ERROR"] | None = None, ecds: Literal["SYNCED", "STALE", "NOT_SENT", "ERROR"] | None = None, sds: Literal["SYNCED", "STALE", "NOT_SENT", "ERROR"] | None = None) -> Proxies:
        """The proxies that the mesh's sources know, sorted by name."""
    def proxy(self, name: str, *, namespace: str | None = None, cluster_id: str | None = None) -> Proxy:
        """The one proxy of this name. When several proxies of one workload answer to it the first that is connected and ready is taken; several workloads are an error that lists them."""
    def istiods(self) -> Istiods:
        """The control plane instances that the mesh's sources know."""
    def listeners(self, name: str | None = None, state: Literal["active", "static", "warming", "draining", "error", "*"] | None = None, port: int | None = None, address: str | None = None, type: Literal["HTTP", "TCP", "HTTP+TCP", "UNKNOWN"] | None = None, direction: Literal["inbound", "outbound"] | None = None, *, proxy: str | Proxy | list | tuple | Collection | None = None) -> Listeners:
        """Listeners, those in use unless a state is given."""
    def routes(self, name: str | None = None, state: Literal["active", "static", "warming", "draining", "error", "*"] | None = None, host: str | None = None, *, proxy: str | Proxy | list | tuple | Collection | None = None) -> RouteConfigs:
        """Route tables, those in use unless a state is given. Their routes are in .routes."""
    def clusters(self, name: str | None = None, state: Literal["active", "static", "warming", "draining", "error", "*"] | None = None, fqdn: str | None = None, port: int | None = None, subset: str | None = None, direction: Literal["inbound", "inbound-vip", "outbound"] | None = None, type: str | None = None, *, proxy: str | Proxy | list | tuple | Collection | None = None) -> Clusters:
        """Clusters, those in use unless a state is given."""
    def endpoints(self, cluster: str | Cluster | None = None, address: str | None = None, port: int | None = None, status: Literal["HEALTHY", "UNHEALTHY", "DRAINING", "TIMEOUT", "DEGRADED", "UNKNOWN"] | None = None, *, proxy: str | Proxy | list | tuple | Collection | None = None) -> Endpoints:
        """The hosts of clusters: live ones with health and counters when the source has /clusters, else as they were sent."""
    def secrets(self, name: str | None = None, state: Literal["active", "static", "warming", "draining", "error", "*"] | None = None, type: Literal["tls_certificate", "validation_context", "session_ticket_keys", "generic_secret"] | None = None, *, proxy: str | Proxy | list | tuple | Collection | None = None) -> Secrets:
        """Secrets, those in use unless a state is given. One that has not arrived is warming."""
    def doctor(self) -> Findings:
        """What the mesh's sources can answer, and why not more: permissions, control planes and Envoys that answer, sections that recordings have. Nothing is changed by it."""
    def object_kinds(self) -> ObjectKinds:
        """The kinds of objects that objects(...) can be asked for."""
    def objects(self, kind: str, name: str | None = None, namespace: str | None = None, labels: str | dict | None = None, *, managed_fields: bool = False) -> KubernetesObjects:
        """The objects of a kind that stand beside the mesh, from the Kubernetes clusters it is read from; from an istiod, Istio's own configuration."""

class Proxy(Value):
    """One proxy of the mesh. Its configuration is read by its calls; its fields are known from the list of proxies."""
    @property
    def name(self) -> str:
        """pod.namespace of an Istio proxy, else the node id or what the source calls it."""
    @property
    def namespace(self) -> str:
        """The namespace of its pod."""
    @property
    def pod(self) -> str:
        """Its pod."""
    @property
    def workload(self) -> str:
        """The workload its pod belongs to, such as a deployment."""
    @property
    def cluster_id(self) -> str:
        """The id of its Kubernetes cluster."""
    @property
    def type(self) -> Literal["sidecar", "router", "waypoint", "ztunnel", "agentgateway", ""]:
        """What it is for: sidecar, router (a gateway), waypoint, ztunnel, agentgateway, or \"\" when the node id does not say."""
    @property
    def istio_version(self) -> str:
        """The version of its Istio."""
    @property
    def envoy_version(self) -> str:
        """The version of its Envoy."""
    @property
    def istiod(self) -> str:
        """The control plane instance it is connected to."""
    @property
    def node(self) -> str:
        """Its node id, as it tells the control plane."""
    @property
    def ip(self) -> str:
        """Its address."""
    @property
    def labels(self) -> dict:
        """The labels of its pod."""
    @property
    def connected(self) -> bool | None:
        """Whether it is connected to a control plane, None when no source can tell."""
    @property
    def ready(self) -> bool | None:
        """Whether its pod is ready for requests, None when no source can tell."""
    @property
    def revision(self) -> str:
        """The revision of the control plane it is connected to, else of the one its pod was made for."""
    @property
    def connected_at(self) -> Any | None:
        """When it connected to its control plane, None when no source can tell."""
    @property
    def cds(self) -> Literal["SYNCED", "STALE", "NOT_SENT", "ERROR"] | None:
        """How far it is with its clusters (CDS); None when it does not watch them or no source can tell."""
    @property
    def lds(self) -> Literal["SYNCED", "STALE", "NOT_SENT", "ERROR"] | None:
        """How far it is with its listeners (LDS); None when it does not watch them or no source can tell."""
    @property
    def eds(self) -> Literal["SYNCED", "STALE", "NOT_SENT", "ERROR"] | None:
        """How far it is with its endpoints (EDS); None when it does not watch them or no source can tell."""
    @property
    def rds(self) -> Literal["SYNCED", "STALE", "NOT_SENT", "ERROR"] | None:
        """How far it is with its routes (RDS); None when it does not watch them or no source can tell."""
    @property
    def ecds(self) -> Literal["SYNCED", "STALE", "NOT_SENT", "ERROR"] | None:
        """How far it is with its extension configuration (ECDS); None when it does not watch them or no source can tell."""
    @property
    def sds(self) -> Literal["SYNCED", "STALE", "NOT_SENT", "ERROR"] | None:
        """How far it is with its secrets (SDS); None when it does not watch them or no source can tell."""
    @property
    def sync(self) -> SyncStatus:
        """The sync status of each type with its details. It is false when no source is a control plane."""
    @property
    def source(self) -> str:
        """The sources it is known from."""
    @property
    def side(self) -> Literal["actual", "desired"] | None:
        """Which side of the configuration the calls read, None for the actual one where it can be read."""
    @property
    def metadata(self) -> JSONObject | None:
        """The metadata of its node, as it tells the control plane."""
    def actual(self) -> Proxy:
        """The proxy as its Envoy is configured now; all calls read that side."""
    def desired(self, via: Literal["ads"] | None = None) -> Proxy:
        """The proxy as the control plane would configure it now; all calls read that side."""
    def diff(self, ignore: list | tuple | Collection | str = [], exact: bool = False) -> Diff:
        """How what its Envoy has differs from what the control plane would send it now: left is desired, right is actual, so what the Envoy lacks is removed. Endpoints, secrets of the control plane and extensions are compared too. diff(p, q) compares two proxies."""
    def eds_share(self) -> float | None:
        """The share of the endpoints that the control plane would send it now that its Envoy holds, 0 to 1: the SYNCED (100%) of older istioctl. None when no source tells of both sides. proxies(share=True) finds it for all and shows it."""
    def has(self, kind: Literal["bootstrap", "listener", "route_config", "scoped_routes", "cluster", "endpoint", "secret", "extension"]) -> bool:
        """Whether its configuration tells of a kind of resource at all, which tells \"none\" from \"not recorded\": no dump has all sections."""
    def stats(self, filter: str | None = None) -> dict:
        """The Envoy's counters, gauges and text readouts by name; histograms are left out. The fewer are asked for, the less the Envoy is bothered."""
    def listeners(self, name: str | None = None, state: Literal["active", "static", "warming", "draining", "error", "*"] | None = None, port: int | None = None, address: str | None = None, type: Literal["HTTP", "TCP", "HTTP+TCP", "UNKNOWN"] | None = None, direction: Literal["inbound", "outbound"] | None = None) -> Listeners:
        """Listeners, those in use unless a state is given."""
    def routes(self, name: str | None = None, state: Literal["active", "static", "warming", "draining", "error", "*"] | None = None, host: str | None = None) -> RouteConfigs:
        """Route tables, those in use unless a state is given. Their routes are in .routes."""
    def clusters(self, name: str | None = None, state: Literal["active", "static", "warming", "draining", "error", "*"] | None = None, fqdn: str | None = None, port: int | None = None, subset: str | None = None, direction: Literal["inbound", "inbound-vip", "outbound"] | None = None, type: str | None = None) -> Clusters:
        """Clusters, those in use unless a state is given."""
    def endpoints(self, cluster: str | Cluster | None = None, address: str | None = None, port: int | None = None, status: Literal["HEALTHY", "UNHEALTHY", "DRAINING", "TIMEOUT", "DEGRADED", "UNKNOWN"] | None = None) -> Endpoints:
        """The hosts of clusters: live ones with health and counters when the source has /clusters, else as they were sent."""
    def secrets(self, name: str | None = None, state: Literal["active", "static", "warming", "draining", "error", "*"] | None = None, type: Literal["tls_certificate", "validation_context", "session_ticket_keys", "generic_secret"] | None = None) -> Secrets:
        """Secrets, those in use unless a state is given. One that has not arrived is warming."""
    def bootstrap(self) -> Bootstrap:
        """The configuration its Envoy started with."""
    def scoped_routes(self, name: str | None = None, state: Literal["active", "static", "warming", "draining", "error", "*"] | None = None) -> ScopedRoutesList:
        """The sets of scopes that choose among route tables, those in use unless a state is given."""
    def extensions(self, name: str | None = None, state: Literal["active", "static", "warming", "draining", "error", "*"] | None = None) -> Extensions:
        """Configurations of filters by extension discovery (ECDS), those in use unless a state is given."""
    def trace(self, url: str, method: str = "GET", headers: dict | list | tuple | Collection = {}, principal: str = "", source_ip: str = "", sni: str = "", dst_ip: str = "", direction: Literal["inbound", "outbound"] | None = None, alpn: list | tuple | Collection | str = [], tls: bool | None = None, mtls: bool | None = None, direct_source_ip: str = "", proxy_protocol: bool | None = None, random: int | None = None, runtime: dict = {}, metadata: dict = {}) -> Trace:
        """Follows a request through the proxy's configuration as its Envoy would: listener, filter chain, filters, virtual host, route, cluster, endpoint, and on through the proxies behind. None for an argument is as if it were left out. Every decision is explained, with what lost. Nothing is sent."""
    def server_info(self) -> ServerInfo:
        """What the Envoy says of itself: version, state, uptime, command line."""
    def certs(self) -> LoadedCertificates:
        """The certificates that the Envoy has in use in its TLS contexts, those of files included."""

class Proxies(Collection):
    """Proxies of a mesh."""
    def __iter__(self) -> Iterator[Proxy]: ...
    def __getitem__(self, i: Any) -> Any: ...

class SyncStatus(Value):
    """What the control plane says a proxy has acknowledged, by type. A type the proxy does not watch is None."""
    @property
    def cds(self) -> TypeSync | None:
        """The status of its clusters (CDS)."""
    @property
    def lds(self) -> TypeSync | None:
        """The status of its listeners (LDS)."""
    @property
    def eds(self) -> TypeSync | None:
        """The status of its endpoints (EDS)."""
    @property
    def rds(self) -> TypeSync | None:
        """The status of its routes (RDS)."""
    @property
    def ecds(self) -> TypeSync | None:
        """The status of its extension configuration (ECDS)."""
    @property
    def sds(self) -> TypeSync | None:
        """The status of its secrets (SDS)."""
    @property
    def types(self) -> dict:
        """The status of every type the proxy watches, by its short name or its type URL."""

class TypeSync(Value):
    """How far a proxy is with one type of configuration."""
    @property
    def type(self) -> str:
        """The type: CDS, LDS, EDS, RDS, ... or its URL."""
    @property
    def state(self) -> Literal["SYNCED", "STALE", "NOT_SENT", "ERROR"]:
        """SYNCED: acknowledged. STALE: sent and not acknowledged, normal for a moment after a change. NOT_SENT: there is nothing to send. ERROR: rejected."""
    @property
    def sent(self) -> str:
        """The nonce of what was sent last."""
    @property
    def acked(self) -> str:
        """The nonce that was acknowledged last."""
    @property
    def sent_at(self) -> Any | None:
        """When the control plane sent it last."""
    @property
    def age(self) -> Any | None:
        """How long ago that was, by the mesh's clock."""
    @property
    def share(self) -> float | None:
        """Of EDS: the share of the control plane's endpoints that the proxy holds, 0 to 1. Only proxies(share=True) finds it out; p.eds_share() does so for one proxy."""
    @property
    def error(self) -> str | None:
        """Why the proxy rejected it, in Envoy's words, which may hold all of what it rejected."""
    @property
    def reason(self) -> str | None:
        """The same on one line: what the proxy rejected, by its name, and why."""

class Istiod(Value):
    """One instance of the control plane."""
    @property
    def name(self) -> str:
        """Its name: that of its pod, or its address."""
    @property
    def version(self) -> str:
        """Its version."""
    @property
    def revision(self) -> str:
        """The revision it serves."""
    @property
    def tags(self) -> list | None:
        """The tags that stand for its revision, None when no source can tell."""
    @property
    def source(self) -> str:
        """The source it was found in."""
    def proxies(self) -> Proxies:
        """The proxies connected to it."""
    def debug(self, path: str) -> Any:
        """What a path of its debug API answers, decoded when it is JSON. Paths that change something are refused."""

class Istiods(Collection):
    """Control plane instances."""
    def __iter__(self) -> Iterator[Istiod]: ...
    def __getitem__(self, i: Any) -> Any: ...

class Listener(Resource):
    """A listener: an address where connections arrive, and the filter chains that take them."""
    @property
    def address(self) -> str:
        """Where it listens: the IP address, or the whole address of a socket; \"\" for an internal listener."""
    @property
    def addresses(self) -> list:
        """All its addresses with their ports."""
    @property
    def port(self) -> int | None:
        """Its port, None where there is none."""
    @property
    def type(self) -> Literal["HTTP", "TCP", "HTTP+TCP", "UNKNOWN"]:
        """What it takes: HTTP, TCP, HTTP+TCP (chains of both) or UNKNOWN."""
    @property
    def direction(self) -> Literal["inbound", "outbound", ""]:
        """inbound, outbound or \"\"."""
    @property
    def internal(self) -> bool:
        """Whether only clusters of the same Envoy can connect to it."""
    @property
    def bind_to_port(self) -> bool:
        """Whether it opens its port, rather than taking connections that another listener hands over."""
    @property
    def use_original_dst(self) -> bool:
        """Whether it hands connections to the listener of the address they were meant for."""
    @property
    def config(self) -> str:
        """The Istio object it was made from, as name.namespace."""
    @property
    def filter_chains(self) -> FilterChains:
        """Its filter chains in order, the default one last."""
    @property
    def listener_filters(self) -> list:
        """The names of the filters that look at a connection before a chain is chosen."""
    @property
    def destinations(self) -> list:
        """Where its chains lead, in istioctl's words."""
    @property
    def route_names(self) -> list:
        """The names of the route tables its chains ask for."""
    @property
    def secrets(self) -> list:
        """The names of the secrets its chains need."""
    def routes(self) -> RouteConfigs:
        """The route tables its chains use: those they name, and those written into them."""
    def match(self, dst_ip: str = "", dst_port: int | None = None, sni: str = "", alpn: list | tuple | Collection | str = [], transport: str = "", src_ip: str = "", src_port: int | None = None, direct_src_ip: str = "", filter_state: dict = {}, metadata: dict = {}, runtime: dict = {}) -> ChainMatch:
        """Which filter chain takes a connection. None for an argument is as if it were left out. The listener is taken by itself: its listener filters are not run, what they would find out is given, and it is not handed to another listener."""

class Listeners(Collection):
    """Listeners of one proxy or several, sorted as istioctl sorts them: by port, address and type."""
    def __iter__(self) -> Iterator[Listener]: ...
    def __getitem__(self, i: Any) -> Any: ...

class FilterChain(Part):
    """A filter chain of a listener: which connections it takes and what is done with them."""
    @property
    def name(self) -> str:
        """Its name, often \"\"."""
    @property
    def listener(self) -> Listener:
        """The listener it belongs to."""
    @property
    def default(self) -> bool:
        """Whether it takes the connections no other chain does."""
    @property
    def match(self) -> str:
        """What a connection has to be, in one line; ALL for no condition."""
    @property
    def sni(self) -> list:
        """The server names it takes."""
    @property
    def alpn(self) -> list:
        """The application protocols it takes."""
    @property
    def transport_protocol(self) -> str:
        """tls or raw_buffer when it takes only one of them, else \"\"."""
    @property
    def destination_port(self) -> int | None:
        """The port a connection has to be meant for."""
    @property
    def prefix_ranges(self) -> list:
        """The addresses a connection has to be meant for."""
    @property
    def destination(self) -> str:
        """Where it leads, in istioctl's words."""
    @property
    def clusters(self) -> list:
        """The names of the clusters it names itself; those of route tables from RDS are not there."""
    @property
    def filters(self) -> list:
        """Its network filters in order: name, type and kind (http, tcp or \"\")."""
    @property
    def http_filters(self) -> list:
        """The HTTP filters in the order requests pass them: name, type and whether disabled."""
    @property
    def rbac(self) -> list:
        """Its access rules: layer (network or http), action, shadow, and policies by id."""
    @property
    def tls(self) -> Any | None:
        """How it terminates TLS: secrets, whether a client certificate is required, and the protocols offered; None without TLS."""
    def routes(self) -> RouteConfigs:
        """The route tables it uses: the one it names, or the one written into it."""

class FilterChains(Collection):
    """Filter chains of listeners, in the order of each listener."""
    def __iter__(self) -> Iterator[FilterChain]: ...
    def __getitem__(self, i: Any) -> Any: ...

class RouteConfig(Resource):
    """A route table: virtual hosts by domain, each with its routes."""
    @property
    def virtual_hosts(self) -> VirtualHosts:
        """Its virtual hosts in order."""
    @property
    def routes(self) -> Routes:
        """The routes of all its virtual hosts, in order."""
    @property
    def domains(self) -> list:
        """The domains of all its virtual hosts."""
    @property
    def ignores_port(self) -> bool:
        """Whether a port in the Host header is left out when virtual hosts are matched."""
    @property
    def listener(self) -> Listener | None:
        """The listener it is written into, None for a table of its own."""
    @property
    def cluster_names(self) -> list:
        """The names of the clusters it names anywhere, whether the proxy has them or not; clusters() gives those it has."""
    def clusters(self) -> Clusters:
        """The clusters it names anywhere, as the proxy has them."""
    def match(self, method: str = "GET", host: str = "", path: str = "/", headers: dict | list | tuple | Collection = {}, tls: bool = False, internal: bool = False, source_ip: str = "", random: int | None = None, runtime: dict = {}, metadata: dict = {}, principal: str = "", filter_state: dict = {}) -> RouteMatch:
        """Which route a request takes through this table and what becomes of it there. None for an argument is as if it were left out. The table is taken by itself: what a connection manager does before (normalising the path, stripping the host's port, discarding headers) is not done, filters are not run, and whether clusters exist is not asked."""

class RouteConfigs(Collection):
    """Route tables of one proxy or several, sorted by name, numbers by value."""
    def __iter__(self) -> Iterator[RouteConfig]: ...
    def __getitem__(self, i: Any) -> Any: ...
    @property
    def routes(self) -> Routes:
        """The routes of all of them, in order."""
    @property
    def virtual_hosts(self) -> VirtualHosts:
        """The virtual hosts of all of them, in order."""

class VirtualHost(Part):
    """A virtual host of a route table: the routes of a set of domains."""
    @property
    def name(self) -> str:
        """Its name, for logs and statistics; requests are matched by domain."""
    @property
    def route_config(self) -> RouteConfig:
        """The route table it belongs to."""
    @property
    def domains(self) -> list:
        """The hosts it serves, as written."""
    @property
    def require_tls(self) -> Literal["NONE", "EXTERNAL_ONLY", "ALL"]:
        """Which requests without TLS are redirected: NONE, EXTERNAL_ONLY or ALL."""
    @property
    def routes(self) -> Routes:
        """Its routes in the order they are tried."""
    @property
    def cluster_names(self) -> list:
        """The names of the clusters it names anywhere, whether the proxy has them or not; clusters() gives those it has."""
    def clusters(self) -> Clusters:
        """The clusters it names anywhere, as the proxy has them."""

class VirtualHosts(Collection):
    """Virtual hosts of route tables, in the order of each table."""
    def __iter__(self) -> Iterator[VirtualHost]: ...
    def __getitem__(self, i: Any) -> Any: ...
    @property
    def routes(self) -> Routes:
        """The routes of all of them, in order."""

class Route(Part):
    """A route: which requests it takes and what becomes of them."""
    @property
    def name(self) -> str:
        """Its name, often \"\"."""
    @property
    def virtual_host(self) -> VirtualHost:
        """The virtual host it belongs to."""
    @property
    def route_config(self) -> RouteConfig:
        """The route table it belongs to."""
    @property
    def match(self) -> str:
        """What a request has to be, in one line: the path, then everything else."""
    @property
    def path(self) -> str:
        """The path alone, in istioctl's words: /p* for a prefix, /p, regex r."""
    @property
    def headers(self) -> list:
        """The conditions on headers, each name=match, name!=match, name or !name."""
    @property
    def action(self) -> Literal["cluster", "weighted_clusters", "cluster_header", "cluster_specifier_plugin", "redirect", "direct_response", "filter_action", "non_forwarding_action", ""]:
        """What becomes of the request."""
    @property
    def destination(self) -> str:
        """Where the request goes, in one phrase: a cluster, clusters with shares, a redirect, a response."""
    @property
    def cluster(self) -> str:
        """The name of its cluster; \"\" when it has several or none."""
    @property
    def weighted_clusters(self) -> list:
        """The clusters it spreads requests over: cluster, weight and share (0 to 1)."""
    @property
    def mirrors(self) -> list:
        """Where copies of its requests go: cluster and percent."""
    @property
    def virtual_service(self) -> str:
        """The VirtualService (or HTTPRoute) it was made from, as name.namespace."""
    @property
    def timeout(self) -> str:
        """How long the whole response may take; 15s unless set, 0s for no limit, \"\" when it does not go to a cluster."""
    @property
    def idle_timeout(self) -> str:
        """How long nothing may happen, \"\" where the listener's setting holds."""
    @property
    def retries(self) -> Any | None:
        """Its retry policy (its own, else its virtual host's): on, attempts, per_try_timeout, status_codes."""
    @property
    def rewrite(self) -> str:
        """How the path is changed, \"\" when it is not."""
    @property
    def host_rewrite(self) -> str:
        """How the Host header is changed, \"\" when it is not."""
    @property
    def hash_policies(self) -> list:
        """What ties a request to a host, where the cluster hashes."""
    @property
    def filters(self) -> list:
        """The names of the HTTP filters that have settings for it."""
    @property
    def cluster_names(self) -> list:
        """The names of the clusters it names anywhere, whether the proxy has them or not; clusters() gives those it has."""
    def clusters(self) -> Clusters:
        """The clusters it names, mirrors last, as the proxy has them."""

class Routes(Collection):
    """Routes, in the order they are tried."""
    def __iter__(self) -> Iterator[Route]: ...
    def __getitem__(self, i: Any) -> Any: ...

class Step(Value):
    """One decision on the way of a request: what was asked, what it went by, what there was to choose from, and why each candidate won or lost."""
    @property
    def question(self) -> str:
        """What had to be decided."""
    @property
    def inputs(self) -> list:
        """What the decision went by: each with name and value."""
    @property
    def candidates(self) -> list:
        """What there was to choose from, in the order Envoy looks at it: each with name, where in the configuration, whether it won, why, and the Istio object it was made from (\"\" for none)."""
    @property
    def answer(self) -> str:
        """What was decided, in one phrase."""
    @property
    def unmodelled(self) -> list:
        """What could not be decided from the configuration and the request alone, a phrase each."""

class RouteMatch(Value):
    """What a route table makes of a request: what rc.match(...) gives. It is false when no route was found. Texts that mean nothing in a case are \"\"."""
    @property
    def found(self) -> bool:
        """Whether a route was found."""
    @property
    def virtual_host(self) -> str:
        """The name of the virtual host, \"\" when none fits the host."""
    @property
    def route(self) -> str:
        """The name of the route, \"\" for one without; where says which it is."""
    @property
    def where(self) -> str:
        """Where the route is in the table: virtual_hosts[0].routes[2]."""
    @property
    def action(self) -> Literal["cluster", "weighted_clusters", "cluster_header", "cluster_specifier_plugin", "redirect", "direct_response", "filter_action", "non_forwarding_action", ""]:
        """What the route does."""
    @property
    def cluster(self) -> str:
        """The cluster the request goes to; \"\" when it goes to none, or when weights decide and the random number is not given."""
    @property
    def clusters(self) -> list:
        """The clusters requests like this one go to: each with name and share, 0 to 1. There are several when weights or fractions decide and the random number is not given."""
    @property
    def routes(self) -> list:
        """The routes requests like this one take, by name and share, when fractions decide and the random number is not given; the fields about the route are then those of the one most of them take."""
    @property
    def mirrors(self) -> list:
        """The clusters that get copies: each with name and share."""
    @property
    def virtual_cluster(self) -> str:
        """The virtual cluster whose statistics count the request, \"other\" when the virtual host has some and none fits, else \"\"."""
    @property
    def path(self) -> str:
        """The path with the query after rewriting."""
    @property
    def host(self) -> str:
        """The host after rewriting."""
    @property
    def redirect(self) -> str:
        """The location of a redirect."""
    @property
    def code(self) -> int | None:
        """The status Envoy answers with, None when a cluster answers."""
    @property
    def body(self) -> str:
        """The body Envoy answers with."""
    @property
    def flags(self) -> str:
        """The response flags in the access log, as NR for no route."""
    @property
    def details(self) -> str:
        """The response code details in the access log."""
    @property
    def request_headers(self) -> dict:
        """The headers of the request as it leaves for the cluster, pseudo-headers such as :path among them (names in lower case, values of repeated ones joined with commas); empty when Envoy answers by itself. Those that the connection manager and the router add of their own are not there."""
    @property
    def response_headers(self) -> dict:
        """The headers that are put on the answer (names in lower case, values of repeated ones joined with commas)."""
    @property
    def removed_headers(self) -> list:
        """The names of the headers that are taken off the answer."""
    @property
    def reason(self) -> str:
        """Why it came to this, in one sentence."""
    @property
    def steps(self) -> list:
        """The decisions in order, each a Step."""
    @property
    def unmodelled(self) -> list:
        """What could not be decided from the configuration and the request alone."""
    @property
    def matched(self) -> Route | None:
        """The route that was found, as a value."""

class ChainMatch(Value):
    """Which filter chain takes a connection: what listener.match(...) gives. It is false when none does."""
    @property
    def found(self) -> bool:
        """Whether a chain takes it."""
    @property
    def chain(self) -> str:
        """The name of the chain, \"\" for one without, and when there is none; where says which it is."""
    @property
    def where(self) -> str:
        """Where the chain is in the listener: filter_chains[2] or default_filter_chain."""
    @property
    def is_default(self) -> bool:
        """Whether it is the default chain, for connections no other takes."""
    @property
    def flags(self) -> str:
        """The response flags in the access log when no chain takes it: NR."""
    @property
    def details(self) -> str:
        """The details in the access log when no chain takes it."""
    @property
    def reason(self) -> str:
        """Why it came to this, in one sentence."""
    @property
    def steps(self) -> list:
        """The decisions in order, each a Step."""
    @property
    def unmodelled(self) -> list:
        """What could not be decided from the configuration and the connection alone."""
    @property
    def matched(self) -> FilterChain | None:
        """The chain, as a value."""

class Cluster(Resource):
    """A cluster: the hosts that stand behind a service, and how connections to them are made."""
    @property
    def fqdn(self) -> str:
        """The service's full name, from the cluster's name; the whole name when it is not Istio's."""
    @property
    def port(self) -> int | None:
        """The service's port, None when the name has none."""
    @property
    def subset(self) -> str:
        """The subset of the service, \"\" for all of it."""
    @property
    def direction(self) -> Literal["inbound", "inbound-vip", "outbound", ""]:
        """inbound, inbound-vip or outbound, \"\" for a cluster whose name is not Istio's."""
    @property
    def type(self) -> str:
        """How it finds its hosts: STATIC, STRICT_DNS, LOGICAL_DNS, EDS, ORIGINAL_DST, or the name of a custom type."""
    @property
    def destination_rule(self) -> str:
        """The DestinationRule that shaped it, as name.namespace."""
    @property
    def eds_service(self) -> str:
        """The name its endpoints are found by."""
    @property
    def tls_mode(self) -> Literal["plaintext", "TLS", "mTLS", "istio mTLS", "internal", "auto", "other"]:
        """How connections leave: plaintext, TLS, mTLS, istio mTLS, internal, auto (by endpoint) or other."""
    @property
    def sni(self) -> str:
        """The server name its connections ask for, \"\" for none."""
    @property
    def connect_timeout(self) -> str:
        """How long a connection may take to be made."""
    @property
    def lb_policy(self) -> str:
        """How a host is picked."""
    @property
    def http_protocol(self) -> Literal["http/1.1", "http/2", "http/3", "auto", "downstream"]:
        """What HTTP requests are sent with: http/1.1, http/2, http/3, auto or downstream."""
    @property
    def circuit_breakers(self) -> list:
        """The limits for priority DEFAULT and HIGH, Envoy's defaults included. They count per proxy."""
    @property
    def panic_threshold(self) -> float:
        """Below which percentage of healthy hosts all of them are used; 50 unless set, 0 for never."""
    @property
    def outlier_detection(self) -> JSONObject | None:
        """The settings by which hosts are ejected."""
    @property
    def secrets(self) -> list:
        """The names of the secrets its connections need."""
    @property
    def aggregated(self) -> list:
        """The clusters an aggregate cluster draws from, the preferred first."""
    def endpoints(self, address: str | None = None, port: int | None = None, status: Literal["HEALTHY", "UNHEALTHY", "DRAINING", "TIMEOUT", "DEGRADED", "UNKNOWN"] | None = None) -> Endpoints:
        """Its hosts: live ones with health and counters when the source has /clusters, else as the control plane sent them."""

class Clusters(Collection):
    """Clusters of one proxy or several, sorted as istioctl sorts them: by service, subset, port and direction."""
    def __iter__(self) -> Iterator[Cluster]: ...
    def __getitem__(self, i: Any) -> Any: ...

class Endpoint(Part):
    """A host of a cluster. A live one comes from Envoy's /clusters and has health and counters; other sources have it as the control plane sent it."""
    @property
    def name(self) -> str:
        """The address with its port, as istioctl prints it."""
    @property
    def address(self) -> str:
        """The IP address; for a socket or an internal listener the whole address."""
    @property
    def port(self) -> int | None:
        """The port, None where there is none."""
    @property
    def cluster(self) -> str:
        """The name of its cluster."""
    @property
    def health(self) -> Literal["HEALTHY", "UNHEALTHY", "DRAINING", "TIMEOUT", "DEGRADED", "UNKNOWN"]:
        """The health that discovery gave it. What load balancing goes by is condition."""
    @property
    def condition(self) -> Literal["healthy", "degraded", "unhealthy"] | None:
        """What load balancing goes by, all checks together: healthy, degraded or unhealthy. None when it is not live."""
    @property
    def flags(self) -> list:
        """What Envoy holds against it: failed_active_health_check, failed_outlier_check, pending_dynamic_removal, ..."""
    @property
    def outlier(self) -> Literal["OK", "FAILED"] | None:
        """FAILED when outlier detection has ejected it, else OK. None when it is not live."""
    @property
    def weight(self) -> int:
        """Its share among the hosts of its locality."""
    @property
    def priority(self) -> int:
        """The level it is in; 0 is used first."""
    @property
    def locality(self) -> str:
        """Where it runs, as region/zone/subzone."""
    @property
    def hostname(self) -> str:
        """The name it is known by, often \"\"."""
    @property
    def tls_mode(self) -> str | None:
        """istio where a sidecar takes mTLS, \"\" elsewhere; None when it is live, for /clusters does not say."""
    @property
    def workload(self) -> str | None:
        """The workload it belongs to, as name.namespace; None when it is live, for /clusters does not say."""
    @property
    def stats(self) -> dict | None:
        """Its counters and gauges in this proxy, None when it is not live."""
    @property
    def live(self) -> bool:
        """Whether it is a host as Envoy runs it, rather than as it was sent."""

class Endpoints(Collection):
    """Hosts of clusters, sorted as istioctl sorts them: by address, port and cluster."""
    def __iter__(self) -> Iterator[Endpoint]: ...
    def __getitem__(self, i: Any) -> Any: ...

class Secret(Resource):
    """What SDS delivered: a certificate chain, the roots others are verified with, or another secret. Private material is never in it."""
    @property
    def type(self) -> Literal["tls_certificate", "validation_context", "session_ticket_keys", "generic_secret", ""]:
        """tls_certificate, validation_context, session_ticket_keys, generic_secret, or \"\" for one that has not arrived."""
    @property
    def valid(self) -> bool | None:
        """Whether every certificate of the chain or bundle is within its life now, by the mesh's clock. None when there is no certificate in it. No signature is verified."""
    @property
    def not_before(self) -> Any | None:
        """When the last of its certificates became valid."""
    @property
    def not_after(self) -> Any | None:
        """When the first of its certificates expires."""
    @property
    def days_left(self) -> float | None:
        """How long until then, in days, negative afterwards; by the mesh's clock."""
    @property
    def serial(self) -> str:
        """The serial number of its first certificate, in hexadecimal."""
    @property
    def issuer(self) -> str:
        """The issuer of its first certificate."""
    @property
    def sans(self) -> list:
        """The names its certificates are for: SPIFFE ids, DNS names, addresses."""
    @property
    def private_key(self) -> str:
        """Where its private key is: \"\" for none, redacted, file PATH, ..."""
    @property
    def certificates(self) -> Certificates:
        """Every certificate of the chain or bundle."""

class Secrets(Collection):
    """Secrets of one proxy or several, sorted by name."""
    def __iter__(self) -> Iterator[Secret]: ...
    def __getitem__(self, i: Any) -> Any: ...

class Certificate(Part):
    """One certificate of a secret. Its JSON form is its fields."""
    @property
    def name(self) -> str:
        """Its subject."""
    @property
    def secret(self) -> Secret | None:
        """The secret it is in."""
    @property
    def serial(self) -> str:
        """Its serial number in hexadecimal."""
    @property
    def subject(self) -> str:
        """Whose it is, as RFC 2253 writes names."""
    @property
    def issuer(self) -> str:
        """Who signed it."""
    @property
    def not_before(self) -> Any | None:
        """When it becomes valid."""
    @property
    def not_after(self) -> Any | None:
        """When it expires."""
    @property
    def valid(self) -> bool | None:
        """Whether it is within its life now, by the mesh's clock."""
    @property
    def days_left(self) -> float | None:
        """How long until it expires, in days, negative afterwards."""
    @property
    def sans(self) -> list:
        """The names it is for: SPIFFE ids, DNS names, addresses."""
    @property
    def is_ca(self) -> bool:
        """Whether it may sign others."""
    @property
    def trust_domain(self) -> str:
        """Its trust domain, \"\" without one."""
    @property
    def key_type(self) -> str:
        """Its kind of key, such as RSA-2048."""
    @property
    def sha256(self) -> str:
        """The fingerprint of the whole certificate."""
    @property
    def unreadable(self) -> str | None:
        """Why it could not be read, None when it could."""

class Certificates(Collection):
    """Certificates of secrets, in the order of each chain or bundle."""
    def __iter__(self) -> Iterator[Certificate]: ...
    def __getitem__(self, i: Any) -> Any: ...

class Bootstrap(Resource):
    """The configuration an Envoy started with."""
    @property
    def node(self) -> Node:
        """How the Envoy introduces itself."""
    @property
    def admin(self) -> str | None:
        """Where its admin interface listens."""
    @property
    def discovery_address(self) -> str:
        """Where its configuration comes from, \"\" when it does not say."""
    @property
    def discovery(self) -> list:
        """The places its configuration comes from: what for, API, cluster and addresses."""
    @property
    def static_listeners(self) -> list:
        """The names of the listeners it started with."""
    @property
    def static_clusters(self) -> list:
        """The names of the clusters it started with."""
    @property
    def static_secrets(self) -> list:
        """The names of the secrets it started with."""
    @property
    def istio_version(self) -> str:
        """The version of its Istio, \"\" elsewhere."""
    @property
    def envoy_version(self) -> str:
        """The version of its Envoy."""
    @property
    def runtime_layers(self) -> list:
        """Its layers of runtime settings: name, kind and values; later ones win."""

class Node(Part):
    """How an Envoy introduces itself to its control plane."""
    @property
    def id(self) -> str:
        """The node id."""
    @property
    def name(self) -> str:
        """The node id."""
    @property
    def cluster(self) -> str:
        """The service it says it belongs to."""
    @property
    def locality(self) -> str:
        """Where it runs, as region/zone/subzone."""
    @property
    def metadata(self) -> JSONObject | None:
        """What it tells about itself."""
    @property
    def build_version(self) -> str:
        """Envoy's version with label, status, type and TLS library."""
    @property
    def istio_version(self) -> str:
        """The version of its Istio, \"\" elsewhere."""

class ScopedRoutes(Resource):
    """A set of scopes (SRDS): which route table a request gets, by a key made of the request."""
    @property
    def scopes(self) -> list:
        """Its scopes: name, key, and route_config, the name of the table."""

class ScopedRoutesList(Collection):
    """Sets of scopes of a proxy."""
    def __iter__(self) -> Iterator[ScopedRoutes]: ...
    def __getitem__(self, i: Any) -> Any: ...

class Extension(Resource):
    """The configuration of one filter, by extension discovery (ECDS)."""
    @property
    def type(self) -> str:
        """The full name of the protobuf message it is configured by."""

class Extensions(Collection):
    """Configurations of filters by extension discovery (ECDS)."""
    def __iter__(self) -> Iterator[Extension]: ...
    def __getitem__(self, i: Any) -> Any: ...

class Diff(Value):
    """A difference: what diff(a, b) and p.diff() give. It is false when there is none. The prompt shows what matches and the changes, resource by resource; -o wide and .table() give a row a change."""
    @property
    def left(self) -> str:
        """What the left side is called."""
    @property
    def right(self) -> str:
        """What the right side is called."""
    @property
    def empty(self) -> bool:
        """Whether there is no difference."""
    @property
    def summary(self) -> str:
        """What matches, and how much of the rest does not, in one line: Clusters Don't Match: 1 added; Listeners Match."""
    @property
    def sections(self) -> list:
        """How many resources of each kind differ: kind, match, compared (False when one side does not tell of them), same, added, removed and changed."""
    @property
    def added(self) -> Changes:
        """The resources (or proxies) that only the right side has."""
    @property
    def removed(self) -> Changes:
        """The resources (or proxies) that only the left side has."""
    @property
    def changed(self) -> Changes:
        """The places at which resources that both sides have differ; a resource that differs at three places is there three times."""
    @property
    def changes(self) -> Changes:
        """All of these: removed, added, changed."""
    @property
    def errors(self) -> list:
        """The proxies that could not be compared: each with proxy, source, stage and reason."""
    def text(self) -> str:
        """What matches, and the changes resource by resource, as the prompt shows them but whole and without colour."""
    def table(self, *columns: Any) -> Table:
        """The changes as a table with the columns given, or their usual ones."""

class Change(Value):
    """One change: a resource that only one side has, or one place at which a resource differs."""
    @property
    def kind(self) -> str:
        """What the resource configures; proxy for a whole proxy, \"\" when other values were compared."""
    @property
    def name(self) -> str:
        """The resource's name."""
    @property
    def state(self) -> Literal["active", "static", "warming", "draining", "error", ""]:
        """Where in its life the resource is, \"\" where that means nothing."""
    @property
    def op(self) -> Literal["added", "removed", "changed"]:
        """What happened on the way from left to right, at this place."""
    @property
    def path(self) -> str:
        """Where in the resource, as virtual_hosts[NAME].routes[0].route.timeout; \".\" for all of it. Elements of lists are in brackets, by what they are known by or by number, on the right unless they were removed."""
    @property
    def left_path(self) -> str | None:
        """Where it is on the left when an element on the way to it has another number there, else None."""
    @property
    def left(self) -> Any:
        """What is there on the left, None for nothing."""
    @property
    def right(self) -> Any:
        """What is there on the right, None for nothing."""
    @property
    def proxy(self) -> str | None:
        """The proxy's name, when several were compared."""

class Changes(Collection):
    """Changes of a diff."""
    def __iter__(self) -> Iterator[Change]: ...
    def __getitem__(self, i: Any) -> Any: ...

class Trace(Value):
    """The way of a request: what p.trace(...) gives. It is true when the request arrives. The prompt shows it as a tree."""
    @property
    def url(self) -> str:
        """What was asked for."""
    @property
    def proxy(self) -> str:
        """The proxy the trace begins in."""
    @property
    def ok(self) -> bool:
        """Whether the request arrives: an endpoint gets it, or Envoy itself answers with a status below 400."""
    @property
    def verdict(self) -> Verdict:
        """How it ends; as text 503 NC cluster_not_found."""
    @property
    def source(self) -> str:
        """Where the client connects from, \"\" when that is not known."""
    @property
    def destination(self) -> str:
        """The address and port the client connects to."""
    @property
    def hops(self) -> list:
        """The listeners it passes, in order, each a Hop."""
    @property
    def clusters(self) -> list:
        """The clusters that requests like this one go to from the first proxy: each with name and share, 0 to 1."""
    @property
    def endpoints(self) -> list:
        """The endpoints of the cluster that is followed from the first proxy: each with name, address, port, share (of the cluster's requests), health, why, priority, weight, locality, workload and namespace."""
    @property
    def may_answer(self) -> list:
        """The filters on the way that may answer by themselves, which cannot be told from the configuration."""
    @property
    def unmodelled(self) -> list:
        """What could not be decided, a phrase each."""
    @property
    def steps(self) -> list:
        """The decisions of all hops in order, each a Step."""
    @property
    def errors(self) -> list:
        """The proxies on the way that could not be read: each with proxy, source, stage and reason."""
    def text(self, all: bool = False) -> str:
        """The trace as a tree, as the prompt shows it."""
    def mermaid(self) -> str:
        """The trace as a Mermaid flowchart, for a page or an issue."""
    def svg(self) -> str:
        """The trace as a picture."""

class Hop(Value):
    """The way through one listener of one proxy."""
    @property
    def proxy(self) -> str:
        """The proxy."""
    @property
    def listener(self) -> str:
        """The listener that has the connection."""
    @property
    def chain(self) -> str:
        """The filter chain that takes it, often without a name."""
    @property
    def http(self) -> bool:
        """Whether it is seen as HTTP here, rather than as bytes to pass on."""
    @property
    def route_config(self) -> str:
        """The name of the route table, often \"\" for one that is written into the chain."""
    @property
    def tunnel(self) -> bool:
        """Whether the request is inside of a tunnel here, as it comes to a waypoint: what is said of HTTP is about the CONNECT request that makes the tunnel."""
    @property
    def virtual_host(self) -> str:
        """The virtual host, \"\" when there is none."""
    @property
    def route(self) -> str:
        """The name of the route, often \"\"; where says which it is."""
    @property
    def where(self) -> str:
        """Where the route is in its table."""
    @property
    def cluster(self) -> str:
        """The cluster that is followed; of several the one with the greatest share."""
    @property
    def clusters(self) -> list:
        """The clusters requests like this one go to: each with name and share."""
    @property
    def mirrors(self) -> list:
        """The clusters that get copies: each with name and share."""
    @property
    def path(self) -> str:
        """The path after rewriting."""
    @property
    def host(self) -> str:
        """The host after rewriting."""
    @property
    def request_headers(self) -> dict:
        """The headers of the request as it leaves for the cluster, as filters and the route leave them, pseudo-headers such as :path among them (names in lower case, values of repeated ones joined with commas); empty when Envoy answers by itself."""
    @property
    def response_headers(self) -> dict:
        """The headers that filters and the route put on the answer (names in lower case, values of repeated ones joined with commas)."""
    @property
    def removed_headers(self) -> list:
        """The names of the headers that are taken off the answer."""
    @property
    def redirect(self) -> str:
        """The location of a redirect."""
    @property
    def endpoints(self) -> list:
        """The endpoints of the cluster: each with name, address, port, share, health, why, priority, weight, locality, workload and namespace."""
    @property
    def endpoint(self) -> str:
        """The endpoint that is followed; of several the one with the greatest share."""
    @property
    def tls(self) -> str:
        """How the connection to it is made: plaintext, TLS, mTLS, istio mTLS, internal, other or \"\"."""
    @property
    def may_answer(self) -> list:
        """The filters that may answer by themselves."""
    @property
    def answers(self) -> list:
        """What these filters answer, as far as it is known: each with filter, share (the part of requests that is answered; 0 when that cannot be told) and verdict."""
    @property
    def delay(self) -> str:
        """How long a filter holds requests back, as 2s; \"\" for not at all."""
    @property
    def delay_share(self) -> float:
        """The part of requests that is held back, 0 to 1."""
    @property
    def steps(self) -> list:
        """The decisions in order, each a Step."""
    @property
    def unmodelled(self) -> list:
        """What could not be decided, a phrase each."""

class Verdict(Value):
    """How a request ends, as Envoy logs it. It is true when an endpoint gets the request."""
    @property
    def reached(self) -> bool:
        """Whether an endpoint that is no proxy of the mesh, or the application behind one, gets the request."""
    @property
    def code(self) -> int | None:
        """The status Envoy answers with; None when the application answers, or the connection is closed."""
    @property
    def flags(self) -> str:
        """The response flags in the access log, as NR, UH or NC."""
    @property
    def details(self) -> str:
        """The response code details in the access log, as route_not_found."""
    @property
    def reason(self) -> str:
        """Why, in one sentence."""
    @property
    def text(self) -> str:
        """The verdict in one line, as str() gives it."""

class WhyNot(Value):
    """What would have to be otherwise for a request to go to a cluster. It is true when the request does go there; as text it is sentences."""
    @property
    def cluster(self) -> str:
        """The cluster asked for."""
    @property
    def goes(self) -> bool:
        """Whether the request goes there, or a part of requests like it."""
    @property
    def shares(self) -> list:
        """The part of requests like it that goes there: each cluster with name and share."""
    @property
    def clusters(self) -> list:
        """The names of such clusters that the proxies on the way have."""
    @property
    def ways(self) -> list:
        """What leads there, what lacks the least first: each with proxy, listener, chain, virtual_host, route, where, object (the Istio object it was made from), clusters (name and share), first (the route that comes before it and takes the request, or \"\") and lacks (what would have to be otherwise, a phrase each)."""
    @property
    def lines(self) -> list:
        """The answer in sentences."""
    def text(self) -> str:
        """The sentences, a line each."""

class Finding(Value):
    """What was found out about one thing that questions need: a permission, a control plane, a section of a recording. It is true when the thing is as it should be."""
    @property
    def source(self) -> str:
        """The source it was found in, \"\" of the mesh as a whole."""
    @property
    def area(self) -> str:
        """What kind of thing it is, such as permissions."""
    @property
    def subject(self) -> str:
        """The thing."""
    @property
    def outcome(self) -> Literal["ok", "limited", "denied", "absent", "unreachable"]:
        """ok; limited: it works in part; denied: this user may not; absent: there is no such thing; unreachable: it does not answer."""
    @property
    def detail(self) -> str:
        """What was found, or what is wrong."""
    @property
    def questions(self) -> list:
        """The calls and fields that it answers or, when it is not ok, leaves open."""
    @property
    def asked(self) -> bool:
        """Whether only somebody who asks for it needs it, such as a token."""
    @property
    def next(self) -> str:
        """What to do about it, \"\" when there is nothing to do."""

class Findings(Collection):
    """What an examination of the mesh's sources found."""
    def __iter__(self) -> Iterator[Finding]: ...
    def __getitem__(self, i: Any) -> Any: ...

class ServerInfo(Value):
    """What an Envoy says of its own process."""
    @property
    def proxy(self) -> Proxy:
        """The proxy that has it."""
    @property
    def source(self) -> str:
        """The source it was read from."""
    @property
    def raw(self) -> JSONObject:
        """What Envoy answered, as nested values."""
    @property
    def version(self) -> str:
        """Its build: commit, version, and how it was built."""
    @property
    def envoy_version(self) -> str:
        """Its version."""
    @property
    def state(self) -> Literal["LIVE", "DRAINING", "PRE_INITIALIZING", "INITIALIZING"]:
        """What it is doing."""
    @property
    def uptime(self) -> Any:
        """How long this process has run."""
    @property
    def uptime_all_epochs(self) -> Any:
        """How long the processes have run that replaced one another by hot restart."""
    @property
    def hot_restart_version(self) -> str:
        """The version of its hot restart, or disabled."""
    @property
    def command_line(self) -> JSONObject | None:
        """The options it was started with."""
    @property
    def node(self) -> JSONObject | None:
        """How it introduces itself to its control plane."""

class LoadedCertificate(Value):
    """A certificate that an Envoy has in use, as its TLS contexts list them. Of a chain it tells of the first certificate only; p.secrets() has them whole."""
    @property
    def proxy(self) -> Proxy:
        """The proxy that has it."""
    @property
    def source(self) -> str:
        """The source it was read from."""
    @property
    def raw(self) -> JSONObject:
        """What Envoy answered, as nested values."""
    @property
    def path(self) -> str:
        """The file it was read from, or <inline>."""
    @property
    def kind(self) -> Literal["cert_chain", "ca_cert"]:
        """cert_chain: its own; ca_cert: one that it verifies others with."""
    @property
    def sans(self) -> list:
        """The names it is for: SPIFFE ids, DNS names, addresses."""
    @property
    def serial(self) -> str:
        """Its serial number in hexadecimal."""
    @property
    def days_left(self) -> float | None:
        """How long until it expires, in days, negative afterwards; by the mesh's clock. Envoy's own days_until_expiration is in raw."""
    @property
    def valid_from(self) -> Any | None:
        """When it becomes valid."""
    @property
    def expiration(self) -> Any | None:
        """When it expires."""
    @property
    def contexts(self) -> int:
        """How many TLS contexts have it."""

class LoadedCertificates(Collection):
    """The certificates that an Envoy has in use, each once, in the order of its TLS contexts."""
    def __iter__(self) -> Iterator[LoadedCertificate]: ...
    def __getitem__(self, i: Any) -> Any: ...

class KubernetesObject(Value):
    """An object of Kubernetes beside the mesh: a VirtualService, a Service, a Pod or of any other kind that the API server serves. The values of Secrets are redacted."""
    @property
    def kind(self) -> str:
        """Its kind, such as VirtualService."""
    @property
    def api_version(self) -> str:
        """The group and version it is written in, such as networking.istio.io/v1."""
    @property
    def name(self) -> str:
        """Its name."""
    @property
    def namespace(self) -> str:
        """Its namespace, \"\" for a kind that has none."""
    @property
    def labels(self) -> dict:
        """Its labels."""
    @property
    def annotations(self) -> dict:
        """Its annotations."""
    @property
    def created(self) -> Any | None:
        """When it was created."""
    @property
    def age(self) -> Any | None:
        """How long ago that was, by the mesh's clock."""
    @property
    def source(self) -> str:
        """The source it was read from, which tells the clusters of one mesh apart."""
    @property
    def spec(self) -> JSONObject | None:
        """What it asks for."""
    @property
    def status(self) -> JSONObject | None:
        """What became of it."""
    @property
    def raw(self) -> JSONObject:
        """All of it as nested values, keys in the order they were sent. managedFields are left out, as kubectl does, unless objects(..., managed_fields=True) asks for them."""
    @property
    def mesh(self) -> Mesh:
        """The mesh it stands beside."""
    def touches(self, proxy: str | Proxy | list | tuple | Collection | None = None) -> Resources:
        """The resources of the proxies that were made from it, by the marks that Istio leaves in them: clusters of a DestinationRule, Service or ServiceEntry, route tables and listeners of a VirtualService, Gateway or route of the Gateway API, listeners of an AuthorizationPolicy, Sidecar or WasmPlugin, secrets of a Secret. An error for kinds that leave no mark, such as EnvoyFilter."""

class KubernetesObjects(Collection):
    """Objects of Kubernetes, sorted by namespace and name."""
    def __iter__(self) -> Iterator[KubernetesObject]: ...
    def __getitem__(self, i: Any) -> Any: ...

class Resources(Collection):
    """Resources of several kinds."""
    def __iter__(self) -> Iterator[Resource]: ...
    def __getitem__(self, i: Any) -> Any: ...
    @property
    def proxies(self) -> Proxies:
        """The proxies that have them, each once."""

class ObjectKind(Value):
    """A kind of object that the mesh's sources have."""
    @property
    def name(self) -> str:
        """What it is called in objects, such as VirtualService."""
    @property
    def plural(self) -> str:
        """Its plural, such as virtualservices."""
    @property
    def api_version(self) -> str:
        """Its group and version."""
    @property
    def short_names(self) -> list:
        """Its short names, such as vs."""
    @property
    def namespaced(self) -> bool:
        """Whether its objects have a namespace."""

class ObjectKinds(Collection):
    """Kinds of objects, sorted by name."""
    def __iter__(self) -> Iterator[ObjectKind]: ...
    def __getitem__(self, i: Any) -> Any: ...

class Check(Value):
    """The outcome of one check(...) or skip(...). It is true when it is ok."""
    @property
    def id(self) -> str:
        """What was checked, as the runbook names it; \"\" for a skip."""
    @property
    def subject(self) -> str:
        """What it was checked on."""
    @property
    def severity(self) -> Literal["error", "warning", "info"]:
        """How bad it is when it is not ok."""
    @property
    def message(self) -> str:
        """What was found, or why it was skipped."""
    @property
    def runbook(self) -> str:
        """The runbook that checked."""
    @property
    def ok(self) -> bool:
        """Whether it is as it should be; False for a skip."""
    @property
    def skipped(self) -> bool:
        """Whether nothing could be checked."""

class Checks(Collection):
    """Outcomes of checks."""
    def __iter__(self) -> Iterator[Check]: ...
    def __getitem__(self, i: Any) -> Any: ...

class _json:
    """JSON, for ordinary values and for those of the mesh."""
    def encode(self, x: Any) -> str:
        """The JSON form of a value on one line. A resource is its body as it was sent; a dict keeps its order."""
    def encode_indent(self, x: Any, indent: str = "  ") -> str:
        """The JSON form of a value, an element a line."""
    def decode(self, text: str | bytes, default: Any = None) -> Any:
        """The value of a JSON text, as dicts and lists. Integers of any size are exact."""
    def indent(self, text: str | bytes, indent: str = "  ") -> str:
        """A JSON text with an element a line."""

json: _json

class _yaml:
    """YAML, for ordinary values and for those of the mesh."""
    def encode(self, x: Any) -> str:
        """The JSON form of a value written as YAML."""
    def decode(self, text: str | bytes) -> Any:
        """The value of a YAML document; of several documents, the list of their values."""

yaml: _yaml

class _math:
    """Mathematics: acos, acosh, asin, asinh, atan, atan2, atanh, ceil, copysign, cos, cosh, degrees, e, exp, fabs, floor, gamma, hypot, log, mod, pi, pow, radians, remainder, round, sin, sinh, sqrt, tan, tanh."""
    def __getattr__(self, name: str) -> Any: ...

math: _math

class _time:
    """Times and durations: from_timestamp, hour, is_valid_timezone, microsecond, millisecond, minute, nanosecond, now, parse_duration, parse_time, second, time. now() is the mesh's clock."""
    def __getattr__(self, name: str) -> Any: ...

time: _time

mesh: Mesh

def arg(name: str, default: Any = None, type: Literal["string", "int", "float", "bool", "duration", "list"] | None = None, doc: str = "", enum: list | tuple | Collection | None = None, positional: bool = False) -> Any:
    """Declares an argument of a runbook and gives its value. Only as a top-level assignment with literal parameters."""

def attempt(fn: Callable, *args: Any, **kwargs: Any) -> Any:
    """Calls a function and gives struct(ok, value, error) instead of failing. An interrupt is not caught."""

def check(id: str, ok: Any, subject: Any = None, message: str = "", severity: Literal["error", "warning", "info"] = "error") -> bool:
    """Records the outcome of a check and goes on. Gives whether it was ok."""

def cluster(x: Any) -> Cluster:
    """A cluster (envoy's Cluster) that no proxy has, from a dict or from JSON or YAML text. It is found in what tools print around it when it is the only one there: a list, an element of a config dump, a discovery response."""

def clusters(name: str | None = None, state: Literal["active", "static", "warming", "draining", "error", "*"] | None = None, fqdn: str | None = None, port: int | None = None, subset: str | None = None, direction: Literal["inbound", "inbound-vip", "outbound"] | None = None, type: str | None = None, *, proxy: str | Proxy | list | tuple | Collection | None = None) -> Clusters:
    """Clusters, those in use unless a state is given."""

def config_dump(x: Any) -> Proxy:
    """A proxy with the configuration of a config dump; all calls work on it that need nothing more than the dump."""

def diff(a: Any, b: Any, ignore: list | tuple | Collection | str = [], exact: bool = False) -> Diff:
    """How b differs from a, by what they say: resources by kind, name and state, virtual hosts by name, endpoints by address, routes in their order; what cannot matter is ignored. Two meshes are compared proxy by proxy, or, when each has one, these two. b - a is the same."""

def doctor() -> Findings:
    """What the mesh's sources can answer, and why not more: permissions, control planes and Envoys that answer, sections that recordings have. Nothing is changed by it."""

def endpoints(cluster: str | Cluster | None = None, address: str | None = None, port: int | None = None, status: Literal["HEALTHY", "UNHEALTHY", "DRAINING", "TIMEOUT", "DEGRADED", "UNKNOWN"] | None = None, *, proxy: str | Proxy | list | tuple | Collection | None = None) -> Endpoints:
    """The hosts of clusters: live ones with health and counters when the source has /clusters, else as they were sent."""

def help(topic: Any = None) -> None:
    """Prints what a function, a type or a value can do; without an argument, what there is."""

def istiods() -> Istiods:
    """The control plane instances that the mesh's sources know."""

def jq(value: Any, f: str | None = None, each: bool = False, **vars: Any) -> list | Filter:
    """The outputs of a jq filter on any value, always as a list. Called with the filter alone it gives a Filter for value | jq(f)."""

def jq1(value: Any, f: str, each: bool = False, **vars: Any) -> Any:
    """The one output of a jq filter. It is an error when there is none or more than one."""

def listener(x: Any) -> Listener:
    """A listener (envoy's Listener) that no proxy has, from a dict or from JSON or YAML text. It is found in what tools print around it when it is the only one there: a list, an element of a config dump, a discovery response."""

def listeners(name: str | None = None, state: Literal["active", "static", "warming", "draining", "error", "*"] | None = None, port: int | None = None, address: str | None = None, type: Literal["HTTP", "TCP", "HTTP+TCP", "UNKNOWN"] | None = None, direction: Literal["inbound", "outbound"] | None = None, *, proxy: str | Proxy | list | tuple | Collection | None = None) -> Listeners:
    """Listeners, those in use unless a state is given."""

def objects(kind: str, name: str | None = None, namespace: str | None = None, labels: str | dict | None = None, *, managed_fields: bool = False) -> KubernetesObjects:
    """The objects of a kind that stand beside the mesh, from the Kubernetes clusters it is read from; from an istiod, Istio's own configuration."""

def open(spec: str) -> Mesh:
    """Another mesh, to compare with. Scripts may open files under their folders, and what the command line allows."""

def print(*args: Any, sep: str = " ") -> None:
    """Prints values. A single collection or object is shown as at the prompt."""

def proxies(name: str | None = None, namespace: str | None = None, workload: str | None = None, labels: dict | None = None, cluster_id: str | None = None, type: Literal["sidecar", "router", "waypoint", "ztunnel", "agentgateway"] | None = None, connected: bool | None = None, *, ready: bool | None = None, revision: str | None = None, share: bool = False, cds: Literal["SYNCED", "STALE", "NOT_SENT", "ERROR"] | None = None, lds: Literal["SYNCED", "STALE", "NOT_SENT", "ERROR"] | None = None, eds: Literal["SYNCED", "STALE", "NOT_SENT", "ERROR"] | None = None, rds: Literal["SYNCED", "STALE", "NOT_SENT", "ERROR"] | None = None, ecds: Literal["SYNCED", "STALE", "NOT_SENT", "ERROR"] | None = None, sds: Literal["SYNCED", "STALE", "NOT_SENT", "ERROR"] | None = None) -> Proxies:
    """The proxies that the mesh's sources know, sorted by name."""

def proxy(name: str, *, namespace: str | None = None, cluster_id: str | None = None) -> Proxy:
    """The one proxy of this name. When several proxies of one workload answer to it the first that is connected and ready is taken; several workloads are an error that lists them."""

def read_file(path: str) -> str:
    """The text of a file under the working directory or the script's folder."""

def route_config(x: Any) -> RouteConfig:
    """A route config (envoy's RouteConfiguration) that no proxy has, from a dict or from JSON or YAML text. It is found in what tools print around it when it is the only one there: a list, an element of a config dump, a discovery response."""

def routes(name: str | None = None, state: Literal["active", "static", "warming", "draining", "error", "*"] | None = None, host: str | None = None, *, proxy: str | Proxy | list | tuple | Collection | None = None) -> RouteConfigs:
    """Route tables, those in use unless a state is given. Their routes are in .routes."""

def run(name: str, *args: Any, **kwargs: Any) -> Checks:
    """Runs another runbook and gives its checks."""

def secrets(name: str | None = None, state: Literal["active", "static", "warming", "draining", "error", "*"] | None = None, type: Literal["tls_certificate", "validation_context", "session_ticket_keys", "generic_secret"] | None = None, *, proxy: str | Proxy | list | tuple | Collection | None = None) -> Secrets:
    """Secrets, those in use unless a state is given. One that has not arrived is warming."""

def skip(message: str) -> None:
    """Records that something could not be checked, and why. A run of nothing but skips is ok."""

def struct(**fields: Any) -> Any:
    """A record of named values."""

def sum(xs: list | tuple | Collection, start: Any = 0) -> Any:
    """The sum of a list: all of it added with +."""

def table(rows: list | tuple | Collection, columns: list | tuple | Collection | None = None) -> Table:
    """Rows as a table."""

def wait(fn: Callable, timeout: Any = "60s", every: Any = "2s") -> Any:
    """Calls fn until it gives something true, and gives that. Each call sees the mesh anew. It is an error when the time is over."""

def why_not(trace: Trace, cluster: str) -> WhyNot:
    """What would have to be otherwise for a traced request to go to a cluster: the routes that lead there, the conditions of each that the request does not meet, the route that comes first, weights of 0, and clusters that do not exist."""

def write_file(path: str, text: str | bytes) -> None:
    """Writes a file under the folder that --out names, whole or not at all."""
