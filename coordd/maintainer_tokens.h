// SPDX-License-Identifier: AGPL-3.0-only
// MaintainerTokens: the bearer tokens of coordinator section 2, kept in a JSON file of mode 0600.
// The file is read again when it changed, so a token can be rotated while the coordinator runs. Not
// thread-safe.
#ifndef AUSPEX_COORDD_MAINTAINER_TOKENS_H_
#define AUSPEX_COORDD_MAINTAINER_TOKENS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace auspex::coordd {

class MaintainerTokens {
 public:
  // Reads `path`, which is made with one fresh token first when it does not exist.
  static absl::StatusOr<MaintainerTokens> Load(std::string path, int64_t now_micros);

  // Whether `untrusted_token` is one that has not expired; takes the same time for every wrong
  // token of a length.
  bool Accepts(std::string_view untrusted_token, int64_t now_micros);

 private:
  struct Token {
    std::string sha256;  // octets; comparing digests hides the length
    std::optional<int64_t> expires_micros;
  };
  explicit MaintainerTokens(std::string path) : path_(std::move(path)) {}
  absl::Status Read();
  // Reads the file again when its modification time moved; a file that cannot be read keeps the old
  // tokens.
  void Refresh();

  std::string path_;
  int64_t modified_nanos_ = 0;
  std::vector<Token> tokens_;
};

}  // namespace auspex::coordd

#endif  // AUSPEX_COORDD_MAINTAINER_TOKENS_H_
