// SPDX-License-Identifier: AGPL-3.0-only
// The part of fuzz_make_corpus that is about packages and executors.
#ifndef AUSPEX_TESTS_FUZZ_SANDBOX_CORPUS_H_
#define AUSPEX_TESTS_FUZZ_SANDBOX_CORPUS_H_

#include <functional>
#include <string>

namespace auspex {

// Calls `add` with target, name and octets of every input.
void MakeSandboxCorpora(
    const std::function<void(const std::string&, const std::string&, const std::string&)>& add);

}  // namespace auspex

#endif  // AUSPEX_TESTS_FUZZ_SANDBOX_CORPUS_H_
