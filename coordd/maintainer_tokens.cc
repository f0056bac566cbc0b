// SPDX-License-Identifier: AGPL-3.0-only
#include "coordd/maintainer_tokens.h"

#include <sodium/utils.h>
#include <sys/stat.h>

#include <utility>

#include "common/base/cat.h"
#include "common/base/clock.h"
#include "common/base/status_macros.h"
#include "common/crypto/sha256.h"
#include "common/files/files.h"
#include "common/json/canonical.h"
#include "common/json/reader.h"
#include "common/log/log.h"
#include "coordd/random_ids.h"
#include "coordd/reply.h"

namespace auspex::coordd {
namespace {

constexpr size_t kMaxFile = 256 * 1024;

int64_t ModifiedNanos(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return 0;
  return static_cast<int64_t>(info.st_mtim.tv_sec) * 1'000'000'000 + info.st_mtim.tv_nsec;
}

}  // namespace

absl::StatusOr<MaintainerTokens> MaintainerTokens::Load(std::string path, int64_t now_micros) {
  MaintainerTokens out(std::move(path));
  absl::Status status = out.Read();
  if (absl::IsNotFound(status)) {
    const JsonObject token{
        {"token", MakeToken()}, {"created_at", ZuluTime(now_micros)}, {"expires_at", nullptr}};
    RETURN_IF_ERROR(WriteFileAtomically(
        out.path_, WriteCanonical(JsonObject{{"tokens", JsonArray{JsonValue(token)}}}) + "\n",
        0600));
    status = out.Read();
  }
  if (!status.ok()) return status;
  return out;
}

absl::Status MaintainerTokens::Read() {
  const int64_t modified = ModifiedNanos(path_);
  ASSIGN_OR_RETURN(const std::string text, ReadFile(path_, kMaxFile));
  ASSIGN_OR_RETURN(const JsonValue file, ReadJson(text));
  const JsonValue* list = file.Find("tokens");
  if (list == nullptr || list->as_array() == nullptr) {
    return absl::InvalidArgumentError(Cat("token file ", path_, ": no array 'tokens'"));
  }
  std::vector<Token> tokens;
  for (const JsonValue& entry : *list->as_array()) {
    const std::string* token = entry.FindString("token");
    if (token == nullptr || token->size() < 16) {
      return absl::InvalidArgumentError(Cat("token file ", path_, ": a token is missing or short"));
    }
    Token out{.sha256 = Sha256(*token), .expires_micros = std::nullopt};
    if (const std::string* expires = entry.FindString("expires_at"); expires != nullptr) {
      const auto time = ParseIsoTime(*expires);
      if (!time) {
        return absl::InvalidArgumentError(Cat("token file ", path_, ": expires_at is no time"));
      }
      out.expires_micros = time->unix_micros;
    }
    tokens.push_back(std::move(out));
  }
  tokens_ = std::move(tokens);
  modified_nanos_ = modified;
  return absl::OkStatus();
}

void MaintainerTokens::Refresh() {
  if (ModifiedNanos(path_) == modified_nanos_) return;
  if (absl::Status status = Read(); !status.ok()) {
    LogWarning("tokens_not_reloaded", {{"cause", std::string(status.message())}});
  }
}

bool MaintainerTokens::Accepts(std::string_view untrusted_token, int64_t now_micros) {
  Refresh();
  const std::string digest = Sha256(untrusted_token);
  bool found = false;
  for (const Token& token : tokens_) {
    const bool same = sodium_memcmp(token.sha256.data(), digest.data(), digest.size()) == 0;
    found |= same && (!token.expires_micros || *token.expires_micros > now_micros);
  }
  return found;
}

}  // namespace auspex::coordd
