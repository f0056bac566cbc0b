// SPDX-License-Identifier: AGPL-3.0-only
// Who is calling (coordinator section 2): maintainer by bearer token, researcher or worker by
// request signature, or nobody.
#ifndef AUSPEX_COORDD_CALLER_H_
#define AUSPEX_COORDD_CALLER_H_

#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "coordd/http_message.h"

namespace auspex::coordd {

struct Services;

enum class CallerClass { kAnonymous, kWorker, kResearcher, kMaintainer };

struct Caller {
  CallerClass kind = CallerClass::kAnonymous;
  std::string worker_id;                  // kWorker
  std::string tenant_id;                  // kResearcher
  std::string pubkey;                     // kWorker, kResearcher: 64 lower-case hex digits
  std::optional<std::string> account_id;  // kWorker, kResearcher: the linked account

  bool maintainer() const { return kind == CallerClass::kMaintainer; }
  bool worker() const { return kind == CallerClass::kWorker; }
  bool researcher() const { return kind == CallerClass::kResearcher; }
};

// The word for `details.credential_class`.
std::string_view ClassWord(CallerClass kind);

// The caller, or the 401 or 403 to answer.
std::variant<Caller, Reply> Identify(Services& services, const Request& request,
                                     int64_t now_micros);

// 403 `worker_required`, `researcher_required` or `maintainer_required`, with the class in the
// details.
Reply ClassRequired(CallerClass required, CallerClass actual);

}  // namespace auspex::coordd

#endif  // AUSPEX_COORDD_CALLER_H_
