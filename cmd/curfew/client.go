// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/curfewhq/curfew/internal/config"
)

// client is how the admin commands reach the API.
type client struct {
	address   string
	tokenFile string
}

// flags adds the client's flags to a command.
func (api *client) flags(command *cobra.Command) {
	command.PersistentFlags().StringVar(&api.address, "address", config.Default().API.Listen, "address of the API")
	command.PersistentFlags().StringVar(&api.tokenFile, "token-file", os.Getenv("CURFEW_TOKEN_FILE"), "file with the API token (default $CURFEW_TOKEN_FILE, then ./curfew-data/admin.token)")
}

// dial returns a connection to the API; the caller closes it.
func (api *client) dial() (*grpc.ClientConn, error) {
	path := api.tokenFile
	if path == "" {
		path = config.Default().Data + "/" + tokenFile
	}
	token, err := readToken(path)
	if err != nil {
		return nil, fmt.Errorf("%w; name the file with --token-file: `curfew run` makes it in its data directory", err)
	}
	// Loopback only, as config refuses other addresses: no TLS yet.
	conn, err := grpc.NewClient(api.address, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithPerRPCCredentials(bearer(token)))
	if err != nil {
		return nil, usageError{fmt.Errorf("--address %s: %w", api.address, err)}
	}
	return conn, nil
}

// bearer shows the token with each call.
type bearer string

// GetRequestMetadata returns the header that carries the token.
func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(b)}, nil
}

// RequireTransportSecurity is false: see dial.
func (b bearer) RequireTransportSecurity() bool { return false }

// window is the flags that bound a time.
type window struct{ from, until string }

func (w *window) flags(command *cobra.Command) {
	command.Flags().StringVar(&w.from, "from", "", "earliest event time: 2026-11-02, 2026-11-02T09:00:00Z, or 24h for so long ago")
	command.Flags().StringVar(&w.until, "until", "", "latest event time, excluded; same forms")
}

func (w *window) times(now time.Time) (from, until *timestamppb.Timestamp, err error) {
	if from, err = parseTime("--from", w.from, now); err != nil {
		return nil, nil, err
	}
	until, err = parseTime("--until", w.until, now)
	return from, until, err
}

// parseTime reads a time as a person writes it on a command line: a day (UTC), a moment, or how long ago.
func parseTime(flag, text string, now time.Time) (*timestamppb.Timestamp, error) {
	if text == "" {
		return nil, nil
	}
	if ago, err := time.ParseDuration(text); err == nil {
		return timestamppb.New(now.Add(-ago.Abs())), nil
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04", time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return timestamppb.New(t), nil
		}
	}
	return nil, usageError{fmt.Errorf("%s %q is no time; write 2026-11-02, 2026-11-02T09:00:00Z, or 24h for so long ago", flag, text)}
}
