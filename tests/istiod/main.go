// Serve what istiod and istioctl judge ServiceEntries with, and nothing else of them: Istio's validating webhook at
// /validate, as the API server calls it, and the analyzers of `istioctl analyze` at /analyze, as JSON list in, JSON list out.
//
// Arguments: ADDRESS CERTIFICATE KEY. Without arguments: generate sidecars' configuration, JSON in, JSON out (generate.go).
// With agent FOLDER ADDRESS AUTHORITIES: be between an Envoy and an istiod (agent.go).
package main

import (
	"encoding/json"
	"log"
	"net/http"
	"os"

	"istio.io/istio/pilot/pkg/config/kube/crd"
	"istio.io/istio/pkg/config"
	"istio.io/istio/pkg/config/analysis"
	"istio.io/istio/pkg/config/analysis/analyzers/serviceentry"
	"istio.io/istio/pkg/config/analysis/diag"
	"istio.io/istio/pkg/config/analysis/legacy/source/kube"
	"istio.io/istio/pkg/config/resource"
	"istio.io/istio/pkg/config/schema/collections"
	"istio.io/istio/pkg/config/schema/gvk"
	"istio.io/istio/pkg/webhooks/validation/server"
)

const domain = "cluster.local"

// side is what lies side by side when istioctl analyzes it: ServiceEntries, under the default mesh configuration.
type side struct {
	entries []*resource.Instance
	told    []diag.Message
}

func (s *side) Report(_ config.GroupVersionKind, message diag.Message) {
	s.told = append(s.told, message)
}
func (s *side) Find(config.GroupVersionKind, resource.FullName) *resource.Instance { return nil }
func (s *side) Exists(config.GroupVersionKind, resource.FullName) bool             { return false }
func (s *side) Canceled() bool                                                     { return false }
func (s *side) SetAnalyzer(string)                                                 {}

func (s *side) ForEach(kind config.GroupVersionKind, each analysis.IteratorFn) {
	if kind != gvk.ServiceEntry {
		return
	}
	for _, entry := range s.entries {
		if !each(entry) {
			return
		}
	}
}

func instance(object crd.IstioKind) (*resource.Instance, error) {
	converted, err := crd.ConvertObject(collections.ServiceEntry, &object, domain)
	if err != nil {
		return nil, err
	}
	entry := resource.PilotConfigToInstance(converted, collections.ServiceEntry)
	entry.Origin = &kube.Origin{Type: gvk.ServiceEntry, FullName: entry.Metadata.FullName}
	return entry, nil
}

func analyze(writer http.ResponseWriter, request *http.Request) {
	var objects []crd.IstioKind
	if err := json.NewDecoder(request.Body).Decode(&objects); err != nil {
		http.Error(writer, err.Error(), http.StatusBadRequest)
		return
	}
	var all side
	for _, object := range objects {
		entry, err := instance(object)
		if err != nil {
			http.Error(writer, err.Error(), http.StatusUnprocessableEntity)
			return
		}
		all.entries = append(all.entries, entry)
	}
	for _, analyzer := range []analysis.Analyzer{
		&serviceentry.ProtocolAddressesAnalyzer{}, &serviceentry.ConflictingServiceEntryProtocolAnalyzer{},
	} {
		analyzer.Analyze(&all)
	}
	told := [][2]string{}
	for _, message := range all.told {
		told = append(told, [2]string{message.Type.Code(), message.Resource.Metadata.FullName.String()})
	}
	if err := json.NewEncoder(writer).Encode(told); err != nil {
		log.Print(err)
	}
}

func main() {
	if len(os.Args) == 1 {
		if err := generate(os.Stdin, os.Stdout); err != nil {
			log.Fatal(err)
		}
		return
	}
	if os.Args[1] == "agent" {
		log.Fatal(agent(os.Args[2], os.Args[3], os.Args[4]))
	}
	mux := http.NewServeMux()
	if _, err := server.New(server.Options{Schemas: collections.Istio, DomainSuffix: domain, Mux: mux}); err != nil {
		log.Fatal(err)
	}
	mux.HandleFunc("/analyze", analyze)
	log.Fatal(http.ListenAndServeTLS(os.Args[1], os.Args[2], os.Args[3], mux))
}
