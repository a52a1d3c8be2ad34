package main

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tls "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	secret "github.com/envoyproxy/go-control-plane/envoy/service/secret/v3"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/anypb"
)

// agent does for an Envoy what pilot-agent does, as far as that needs no certificate of the pod's own: of two unix sockets in the
// folder, XDS leads to the istiod at the address, and SDS tells what authorities are trusted, those of a file.
func agent(folder, address, authorities string) error {
	xds, err := net.Listen("unix", filepath.Join(folder, "XDS"))
	if err != nil {
		return err
	}
	sds, err := net.Listen("unix", filepath.Join(folder, "SDS"))
	if err != nil {
		return err
	}
	server := grpc.NewServer()
	secret.RegisterSecretDiscoveryServiceServer(server, &trusted{file: authorities})
	ended := make(chan error)
	go func() { ended <- server.Serve(sds) }()
	go func() { ended <- forward(xds, address) }()
	return <-ended
}

func forward(from net.Listener, address string) error {
	for {
		near, err := from.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer near.Close()
			far, err := net.Dial("tcp", address)
			if err != nil {
				return
			}
			defer far.Close()
			over := make(chan struct{}, 2)
			for _, pair := range [][2]net.Conn{{near, far}, {far, near}} {
				go func() {
					_, _ = io.Copy(pair[0], pair[1])
					over <- struct{}{}
				}()
			}
			<-over
		}()
	}
}

type trusted struct {
	secret.UnimplementedSecretDiscoveryServiceServer
	file string
}

// StreamSecrets answers each new question for authorities, the system's among them, and keeps silent about anything else.
func (t *trusted) StreamSecrets(stream secret.SecretDiscoveryService_StreamSecretsServer) error {
	told := ""
	for version := 1; ; {
		asked, err := stream.Recv()
		if err != nil {
			return nil
		}
		names := strings.Join(asked.ResourceNames, " ")
		if names == told {
			continue
		}
		answer := &discovery.DiscoveryResponse{TypeUrl: asked.TypeUrl, VersionInfo: strconv.Itoa(version), Nonce: strconv.Itoa(version)}
		for _, name := range asked.ResourceNames {
			if !strings.HasPrefix(name, "file-root:") {
				continue
			}
			found, err := t.secret(name)
			if err != nil {
				return err
			}
			answer.Resources = append(answer.Resources, found)
		}
		if len(answer.Resources) == 0 {
			continue
		}
		if err := stream.Send(answer); err != nil {
			return nil
		}
		told, version = names, version+1
	}
}

func (t *trusted) secret(name string) (*anypb.Any, error) {
	pem, err := os.ReadFile(t.file)
	if err != nil {
		return nil, err
	}
	authorities := &core.DataSource{Specifier: &core.DataSource_InlineBytes{InlineBytes: pem}}
	context := &tls.CertificateValidationContext{TrustedCa: authorities}
	return anypb.New(&tls.Secret{Name: name, Type: &tls.Secret_ValidationContext{ValidationContext: context}})
}
