// SPDX-License-Identifier: AGPL-3.0-only
// Passphrase: what the owner typed to open the sealed key, kept in locked, wiped memory and given to
// keyd through a pipe, again at every start of keyd. One thread.
#ifndef AUSPEX_CLI_PASSPHRASE_H_
#define AUSPEX_CLI_PASSPHRASE_H_

#include <memory>

#include "absl/status/statusor.h"
#include "common/base/unique_fd.h"

namespace auspex::cli {

class Passphrase {
 public:
  // Asks on the controlling terminal, without echo; `twice` for one that will seal something, so that
  // a slip of the fingers does not. FAILED_PRECONDITION without a terminal, INVALID_ARGUMENT for a
  // phrase of fewer than 8 or more than 1000 octets or two that differ.
  static absl::StatusOr<std::unique_ptr<Passphrase>> Ask(bool twice);
  ~Passphrase();
  Passphrase(const Passphrase&) = delete;
  Passphrase& operator=(const Passphrase&) = delete;

  // A pipe that holds the phrase and then ends; its reading end, close-on-exec.
  absl::StatusOr<UniqueFd> Pipe() const;

 private:
  static constexpr size_t kMaxOctets = 1000;
  Passphrase();
  absl::Status ReadLine(int terminal, const char* prompt);

  char octets_[kMaxOctets + 1] = {};
  size_t size_ = 0;
};

}  // namespace auspex::cli

#endif  // AUSPEX_CLI_PASSPHRASE_H_
