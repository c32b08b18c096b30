// SPDX-FileCopyrightText: The Curfew authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/curfewhq/curfew/services/evaluator"
)

// openAPI listens for callers of the API, by the configuration.
func openAPI(s system) (*evaluator.APIOptions, error) {
	conf := s.config.API
	token, err := adminToken(s.config.Data)
	if err != nil {
		return nil, err
	}
	api := &evaluator.APIOptions{Token: token, OIDC: evaluator.OIDC{Issuer: conf.OIDC.Issuer, Audience: conf.OIDC.Audience}, Services: conf.Services}
	if conf.TLS.Certificate != "" {
		if api.TLS, err = evaluator.OpenTLS(conf.TLS.Certificate, conf.TLS.Key, conf.TLS.ClientCA, s.log); err != nil {
			return nil, err
		}
	}
	api.Listener, err = listen("api.listen", conf.Listen)
	return api, err
}
