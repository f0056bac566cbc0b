// SPDX-License-Identifier: AGPL-3.0-only
#include "stated/contact.h"

#include <limits>

#include "common/base/cat.h"
#include "common/base/status_macros.h"
#include "common/ids/ids.h"
#include "common/log/log.h"
#include "common/wire/refusal.h"

namespace auspex::stated {
namespace {

constexpr int64_t kNever = std::numeric_limits<int64_t>::min();
constexpr int64_t kOfflineAfterMicros = 180'000'000;
constexpr size_t kLongestCode = 64;
constexpr size_t kLongestError = 500;
constexpr size_t kLongestUrl = 500;

// Printable text of at most `limit` octets, cut at a character's border.
std::string CleanText(std::string_view untrusted, size_t limit) {
  std::string text = CleanReason(untrusted);
  if (text.size() <= limit) return text;
  while (limit > 0 && (static_cast<unsigned char>(text[limit]) & 0xc0) == 0x80) --limit;
  text.resize(limit);
  return text;
}

bool IsHttpUrl(std::string_view text) {
  return (text.starts_with("https://") || text.starts_with("http://")) &&
         text.size() <= kLongestUrl && Printable(text, kLongestUrl) == text &&
         text.find(' ') == std::string_view::npos;
}

}  // namespace

absl::StatusOr<ContactRow> ReadContact(Connection& db) {
  Statement row(db,
                "SELECT self_paused, last_heartbeat_at, last_heartbeat_error, last_poll_error,"
                " idle_code, hold_kind, hold_reason, hold_at, release_version, release_headline,"
                " release_url FROM contact");
  ASSIGN_OR_RETURN(const bool found, row.Step());
  if (!found) return absl::DataLossError("database: table contact has lost its row");
  ContactRow contact;
  contact.self_paused = row.Int(0) != 0;
  if (!row.IsNull(1)) contact.last_heartbeat_at = row.Int(1);
  contact.last_heartbeat_error = row.Text(2);
  contact.last_poll_error = row.Text(3);
  contact.idle_code = row.Text(4);
  contact.hold_kind = row.Text(5);
  contact.hold_reason = row.Text(6);
  if (!row.IsNull(7)) contact.hold_at = row.Int(7);
  contact.release_version = row.Text(8);
  contact.release_headline = row.Text(9);
  contact.release_url = row.Text(10);
  return contact;
}

absl::Status ClearPollState(Connection& db) {
  return Statement(db,
                   "UPDATE contact SET hold_kind = '', hold_reason = '', hold_at = NULL,"
                   " last_poll_error = '', idle_code = ''"
                   " WHERE hold_kind <> '' OR last_poll_error <> '' OR idle_code <> ''")
      .Run();
}

Contact::Contact(Context& context) : context_(context), last_ok_(kNever) { Load(); }

void Contact::Load() {
  last_ok_ = kNever;
  const absl::Status status = context_.db.Read([&](Connection& db) -> absl::Status {
    ASSIGN_OR_RETURN(const ContactRow contact, ReadContact(db));
    if (!contact.last_heartbeat_at.has_value()) return absl::OkStatus();
    const int64_t age = context_.clock.NowMicros() - *contact.last_heartbeat_at;
    // A time in the future says nothing about how long ago it was.
    if (age >= 0) last_ok_ = context_.clock.MonotonicMicros() - age;
    return absl::OkStatus();
  });
  if (!status.ok()) LogWarning("contact_not_read", {{"reason", std::string(status.message())}});
}

bool Contact::Offline() const {
  const int64_t last = last_ok_;
  return last == kNever || context_.clock.MonotonicMicros() - last >= kOfflineAfterMicros;
}

absl::Status Contact::HeartbeatOk(uint32_t trust_tier,
                                  const std::optional<UntrustedRelease>& untrusted_release) {
  if (trust_tier > 3)
    return absl::InvalidArgumentError(Cat("trust_tier: ", trust_tier, " is above 3"));
  RETURN_IF_ERROR(context_.db.Write([&](Connection& db) -> absl::Status {
    RETURN_IF_ERROR(Statement(db,
                              "UPDATE contact SET last_heartbeat_at = ?, last_heartbeat_error = ''",
                              context_.clock.NowMicros())
                        .Run());
    RETURN_IF_ERROR(Statement(db, "UPDATE identity SET trust_tier = ? WHERE trust_tier <> ?",
                              trust_tier, trust_tier)
                        .Run());
    if (!untrusted_release.has_value() || untrusted_release->version.empty())
      return absl::OkStatus();
    const std::string_view url = untrusted_release->release_url;
    return Statement(
               db, "UPDATE contact SET release_version = ?, release_headline = ?, release_url = ?",
               CleanText(untrusted_release->version, kLongestCode),
               CleanText(untrusted_release->headline, kLongestError),
               IsHttpUrl(url) ? url : std::string_view())
        .Run();
  }));
  last_ok_ = context_.clock.MonotonicMicros();
  context_.changes.Notify({Topic::kStatus});
  return absl::OkStatus();
}

absl::Status Contact::HeartbeatFailed(std::string_view untrusted_error) {
  const std::string error = CleanText(untrusted_error, kLongestError);
  RETURN_IF_ERROR(context_.db.Write([&](Connection& db) {
    return Statement(db, "UPDATE contact SET last_heartbeat_error = ?", error).Run();
  }));
  context_.changes.Notify({Topic::kStatus});
  return absl::OkStatus();
}

absl::Status Contact::PollWithoutWork(std::string_view untrusted_idle_code) {
  const std::string code = CleanText(untrusted_idle_code, kLongestCode);
  // Long polls come back often with the same answer: nothing is written when nothing changes.
  bool same = false;
  RETURN_IF_ERROR(context_.db.Read([&](Connection& db) -> absl::Status {
    ASSIGN_OR_RETURN(const ContactRow contact, ReadContact(db));
    same =
        contact.idle_code == code && contact.hold_kind.empty() && contact.last_poll_error.empty();
    return absl::OkStatus();
  }));
  if (same) return absl::OkStatus();
  RETURN_IF_ERROR(context_.db.Write([&](Connection& db) -> absl::Status {
    RETURN_IF_ERROR(ClearPollState(db));
    return Statement(db, "UPDATE contact SET idle_code = ?", code).Run();
  }));
  LogInfo("idle", {{"code", code}});
  context_.changes.Notify({Topic::kStatus, Topic::kOutbox, Topic::kDemand});
  return absl::OkStatus();
}

absl::Status Contact::PollHeld(std::string_view kind, std::string_view untrusted_reason,
                               std::string_view untrusted_at) {
  if (kind != "pause" && kind != "quarantine") {
    return absl::InvalidArgumentError(
        Cat("hold kind: '", Printable(kind), "' is not pause or quarantine"));
  }
  const std::string reason = CleanText(untrusted_reason, 2000);
  std::optional<int64_t> at;
  if (const std::optional<ParsedTime> time = ParseIsoTime(untrusted_at)) at = time->unix_micros;
  RETURN_IF_ERROR(context_.db.Write([&](Connection& db) {
    return Statement(db,
                     "UPDATE contact SET hold_kind = ?, hold_reason = ?, hold_at = ?,"
                     " last_poll_error = '', idle_code = ''",
                     kind, reason, at)
        .Run();
  }));
  LogWarning("held", {{"kind", kind}, {"reason", reason}});
  context_.changes.Notify({Topic::kStatus, Topic::kOutbox, Topic::kDemand});
  return absl::OkStatus();
}

absl::Status Contact::PollFailed(std::string_view untrusted_error) {
  const std::string error = CleanText(untrusted_error, kLongestError);
  RETURN_IF_ERROR(context_.db.Write([&](Connection& db) {
    return Statement(db, "UPDATE contact SET last_poll_error = ?", error).Run();
  }));
  context_.changes.Notify({Topic::kStatus});
  return absl::OkStatus();
}

}  // namespace auspex::stated
