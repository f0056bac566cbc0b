// SPDX-License-Identifier: AGPL-3.0-only
// The proof at start that this build signs what RFC 8032 says, on this machine: a result is
// composed, recorded and signed on the very path that real ones take, and one vector of the RFC
// goes through the signer.
#ifndef AUSPEX_KEYD_SELF_TEST_H_
#define AUSPEX_KEYD_SELF_TEST_H_

#include "absl/status/status.h"

namespace auspex::keyd {

// OK, or INTERNAL naming the step that failed. Takes well under a millisecond; touches no file.
absl::Status SelfTest();

}  // namespace auspex::keyd

#endif  // AUSPEX_KEYD_SELF_TEST_H_
