// SPDX-License-Identifier: AGPL-3.0-only
// A self-signed certificate for tests of TLS. Reentrant.
#ifndef AUSPEX_TESTS_SUPPORT_CERTIFICATE_H_
#define AUSPEX_TESTS_SUPPORT_CERTIFICATE_H_

#include <string>

namespace auspex::testing {

// Writes a certificate whose one alternative name is `name` ("DNS:lab.example", "IP:127.0.0.1"), good
// for an hour, and its key, as PEM files. Fails the running test when a file cannot be written.
void MakeCertificate(const std::string& name, const std::string& cert_file,
                     const std::string& key_file);

}  // namespace auspex::testing

#endif  // AUSPEX_TESTS_SUPPORT_CERTIFICATE_H_
