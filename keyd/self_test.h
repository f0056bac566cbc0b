// SPDX-License-Identifier: AGPL-3.0-only
// The proof at start that this build signs right on this machine: vectors of RFC 8032 and RFC 9421
// (appendix B.2.6) go through record, proof and signer, and a request and a raw text are composed,
// recorded and signed on the very path that real ones take.
#ifndef AUSPEX_KEYD_SELF_TEST_H_
#define AUSPEX_KEYD_SELF_TEST_H_

#include "absl/status/status.h"

namespace auspex::keyd {

// OK, or INTERNAL naming the step that failed. Takes about a millisecond; touches no file.
absl::Status SelfTest();

}  // namespace auspex::keyd

#endif  // AUSPEX_KEYD_SELF_TEST_H_
