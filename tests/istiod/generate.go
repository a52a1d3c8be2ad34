package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	corev1 "k8s.io/api/core/v1"

	meshconfig "istio.io/api/mesh/v1alpha1"
	"istio.io/istio/pilot/pkg/config/kube/crd"
	"istio.io/istio/pilot/pkg/model"
	"istio.io/istio/pilot/pkg/networking/core"
	"istio.io/istio/pilot/pkg/serviceregistry/kube"
	"istio.io/istio/pkg/config"
	"istio.io/istio/pkg/config/mesh"
	"istio.io/istio/pkg/config/schema/collections"
	istiolog "istio.io/istio/pkg/log"
	"istio.io/istio/pkg/test"
	"istio.io/istio/pkg/util/protomarshal"
)

// question is what istiod is asked: the objects of a mesh, and in which namespaces there are pods with a sidecar.
type question struct {
	Objects         []crd.IstioKind
	Services        []corev1.Service
	Namespaces      []string
	DefaultExportTo []string
	// Times says how often everything is generated anew, each second time with the objects made in the opposite order: where
	// istiod leaves something to that order or to chance, the answers differ.
	Times int
}

// generate answers a question on `from` with, for each time, the listeners and the Envoy clusters of each namespace's sidecar.
func generate(from io.Reader, to io.Writer) error {
	words := istiolog.DefaultOptions()
	words.OutputPaths = []string{"stderr"}
	if err := istiolog.Configure(words); err != nil {
		return err
	}
	var asked question
	if err := json.NewDecoder(from).Decode(&asked); err != nil {
		return err
	}
	configs := []config.Config{}
	for _, object := range asked.Objects {
		schema, found := collections.All.FindByGroupVersionAliasesKind(config.FromKubernetesGVK(object.GroupVersionKind()))
		if !found {
			return fmt.Errorf("no kind of Istio's: %s", object.GroupVersionKind())
		}
		converted, err := crd.ConvertObject(schema, &object, domain)
		if err != nil {
			return err
		}
		configs = append(configs, *converted)
	}
	settings := mesh.DefaultMeshConfig()
	settings.OutboundTrafficPolicy = &meshconfig.MeshConfig_OutboundTrafficPolicy{
		Mode: meshconfig.MeshConfig_OutboundTrafficPolicy_REGISTRY_ONLY,
	}
	settings.DefaultServiceExportTo = asked.DefaultExportTo
	services := []*model.Service{}
	for _, service := range asked.Services {
		services = append(services, kube.ConvertService(service, nil, domain, "", domain))
	}
	var failed error
	answers := []map[string]json.RawMessage{}
	ended := test.Wrap(func(t test.Failer) {
		for range asked.Times {
			generator := core.NewConfigGenTest(t, core.TestOptions{Configs: configs, Services: services, MeshConfig: settings})
			slices.Reverse(configs)
			answer := map[string]json.RawMessage{}
			for _, namespace := range asked.Namespaces {
				if answer[namespace], failed = dump(generator, namespace); failed != nil {
					return
				}
			}
			answers = append(answers, answer)
		}
	})
	if failed != nil {
		return failed
	}
	if ended != nil {
		return ended
	}
	return json.NewEncoder(to).Encode(answers)
}

// dump writes a sidecar's configuration as Envoy's config_dump does.
func dump(generator *core.ConfigGenTest, namespace string) (json.RawMessage, error) {
	proxy := generator.SetupProxy(&model.Proxy{ConfigNamespace: namespace, Labels: map[string]string{"app": "sleep"}})
	listeners, clusters, routes := []string{}, []string{}, []string{}
	all := generator.Listeners(proxy)
	for _, listener := range all {
		text, err := marshalled(listener)
		if err != nil {
			return nil, err
		}
		listeners = append(listeners, fmt.Sprintf(`{"name":%q,"active_state":{"listener":%s}}`, listener.Name, text))
	}
	for _, cluster := range generator.Clusters(proxy) {
		text, err := marshalled(cluster)
		if err != nil {
			return nil, err
		}
		clusters = append(clusters, fmt.Sprintf(`{"cluster":%s}`, text))
	}
	for _, route := range generator.RoutesFromListeners(proxy, all) {
		text, err := marshalled(route)
		if err != nil {
			return nil, err
		}
		routes = append(routes, fmt.Sprintf(`{"route_config":%s}`, text))
	}
	const kind = `"@type":"type.googleapis.com/envoy.admin.v3.%sConfigDump"`
	return json.RawMessage(fmt.Sprintf(
		`{"configs":[{`+kind+`,"dynamic_listeners":[%s]},{`+kind+`,"dynamic_active_clusters":[%s]},{`+kind+`,"dynamic_route_configs":[%s]}]}`,
		"Listeners", strings.Join(listeners, ","), "Clusters", strings.Join(clusters, ","), "Routes", strings.Join(routes, ","),
	)), nil
}

func marshalled(message proto.Message) (string, error) {
	text, err := protomarshal.MarshalProtoNames(message)
	return string(text), err
}
