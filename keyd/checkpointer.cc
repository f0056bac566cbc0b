// SPDX-License-Identifier: AGPL-3.0-only
#include "keyd/checkpointer.h"

#include <optional>
#include <utility>

#include "common/base/encoding.h"
#include "common/base/status_macros.h"
#include "common/log/log.h"

namespace auspex::keyd {

Checkpointer::~Checkpointer() { Stop(); }

absl::StatusOr<Checkpointer::Signed> Checkpointer::Sign(const Caller& caller) {
  std::lock_guard lock(mutex_);
  return SignLocked(caller);
}

absl::StatusOr<Checkpointer::Signed> Checkpointer::SignLocked(const Caller& caller) {
  const KeyRing::View view = keys_.view();
  if (!view.has_key()) return NoKey();
  const std::optional<std::string> public_key = HexDecode(view.public_key_hex());
  if (!public_key) return absl::InternalError("checkpoint: the key has no public key");
  ASSIGN_OR_RETURN(const Journal::Announced announced,
                   journal_.AnnounceCheckpoint(caller, clock_.NowMicros()));
  ASSIGN_OR_RETURN(const std::string signature,
                   keys_.Sign(view, announced.proof, NoteText(announced.checkpoint)));
  Signed out;
  out.note = ComposeNote(announced.checkpoint, *public_key, signature);
  out.sequence = announced.proof.sequence();
  RETURN_IF_ERROR(journal_.AddCheckpoint(out.note));
  return out;
}

absl::Status Checkpointer::SignIfGrown() {
  std::lock_guard lock(mutex_);
  return SignIfGrownLocked();
}

absl::Status Checkpointer::SignIfGrownLocked() {
  if (!keys_.view().has_key()) return absl::OkStatus();
  const Journal::Head head = journal_.head();
  uint64_t covered = 0;
  if (!head.checkpoint.empty()) {
    ASSIGN_OR_RETURN(const SignedCheckpoint newest, ParseNote(head.checkpoint));
    covered = newest.checkpoint.size + 1;
  }
  if (head.records <= covered) return absl::OkStatus();
  return SignLocked(kSelf).status();
}

absl::Status Checkpointer::Do(const Journal::Due& due) {
  std::lock_guard lock(mutex_);
  if (due.any()) RETURN_IF_ERROR(SignIfGrownLocked());
  return due.rotation ? journal_.Rotate(clock_.NowMicros()) : absl::OkStatus();
}

void Checkpointer::Start() {
  thread_ = std::thread([this] { Run(); });
}

void Checkpointer::Stop() {
  if (!thread_.joinable()) return;
  journal_.EndWaits();
  thread_.join();
}

void Checkpointer::Run() {
  while (const std::optional<Journal::Due> due = journal_.WaitUntilDue(longest_uncovered_)) {
    const absl::Status status = Do(*due);
    if (!status.ok()) {
      LogWarning("checkpoint_failed", {{"cause", std::string(status.message())}});
    }
  }
}

}  // namespace auspex::keyd
