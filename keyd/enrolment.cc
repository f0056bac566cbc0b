// SPDX-License-Identifier: AGPL-3.0-only
#include "keyd/enrolment.h"

#include <unistd.h>

#include <cerrno>

#include "common/base/cat.h"
#include "common/base/errno_status.h"
#include "common/base/status_macros.h"
#include "common/files/files.h"

namespace auspex::keyd {
namespace {

constexpr std::string_view kFirstLine =
    "# What the key may sign requests for. Written by auspex-keyd; change it with `auspex "
    "bootstrap`.\n";

// Takes `name = "value"\n` off the front of `rest`. Values never need escapes: each is checked by
// its own type.
std::optional<std::string> TakeLine(std::string_view& rest, std::string_view name) {
  const std::string head = Cat(name, " = \"");
  if (rest.substr(0, head.size()) != head) return std::nullopt;
  const size_t end = rest.find("\"\n", head.size());
  if (end == std::string_view::npos) return std::nullopt;
  std::string value(rest.substr(head.size(), end - head.size()));
  rest.remove_prefix(end + 2);
  return value;
}

absl::Status InField(std::string_view field, const absl::Status& status) {
  return absl::Status(status.code(), Cat(field, ": ", std::string(status.message())));
}

}  // namespace

absl::StatusOr<Enrolment> Enrolment::Parse(const std::string& untrusted_base_url,
                                           const std::string& untrusted_worker_id) {
  absl::StatusOr<BaseUrl> base_url = BaseUrl::Parse(untrusted_base_url);
  if (!base_url.ok()) return InField("base_url", base_url.status());
  absl::StatusOr<WorkerId> worker_id = WorkerId::Parse(untrusted_worker_id);
  if (!worker_id.ok()) return InField("worker_id", worker_id.status());
  return Enrolment{*std::move(base_url), *std::move(worker_id)};
}

absl::StatusOr<std::optional<Enrolment>> LoadEnrolment(const std::string& path,
                                                       const std::string& public_key_hex) {
  if (::access(path.c_str(), F_OK) != 0 && errno == ENOENT) return std::nullopt;
  ASSIGN_OR_RETURN(const std::string text, ReadFile(path, 8192));
  std::string_view rest = text;
  const absl::Status damaged = absl::DataLossError(Cat(
      path, ": is not in the form that auspex-keyd writes; remove it and run `auspex bootstrap`"));
  if (rest.substr(0, kFirstLine.size()) != kFirstLine) return damaged;
  rest.remove_prefix(kFirstLine.size());
  const auto base_url = TakeLine(rest, "base_url");
  const auto worker_id = TakeLine(rest, "worker_id");
  const auto public_key = TakeLine(rest, "public_key");
  if (!base_url || !worker_id || !public_key || !rest.empty()) return damaged;
  if (*public_key != public_key_hex) {
    return absl::FailedPreconditionError(
        Cat(path, ": belongs to the key ", Printable(*public_key),
            ", not to the one in this folder; remove it and run `auspex bootstrap`"));
  }
  absl::StatusOr<Enrolment> enrolment = Enrolment::Parse(*base_url, *worker_id);
  if (!enrolment.ok()) return InField(path, enrolment.status());
  return std::optional<Enrolment>(*std::move(enrolment));
}

absl::Status StoreEnrolment(const std::string& path, const std::string& public_key_hex,
                            const Enrolment& enrolment) {
  return WriteFileAtomically(
      path,
      Cat(kFirstLine, "base_url = \"", enrolment.base_url.str(), "\"\nworker_id = \"",
          enrolment.worker_id.str(), "\"\npublic_key = \"", public_key_hex, "\"\n"),
      0600);
}

absl::Status RemoveEnrolment(const std::string& folder, const std::string& path) {
  if (::unlink(path.c_str()) != 0) {
    if (errno == ENOENT) return absl::OkStatus();
    return ErrnoStatus(errno, "unlink", path);
  }
  return SyncDirectory(folder);
}

}  // namespace auspex::keyd
