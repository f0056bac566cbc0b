// SPDX-License-Identifier: AGPL-3.0-only
// The closed lists of what keyd can be asked for, by whom, and how it ended. The numbers are
// written to the journal and are never used again for something else. Plain data.
#ifndef AUSPEX_COMMON_JOURNAL_INTENT_H_
#define AUSPEX_COMMON_JOURNAL_INTENT_H_

#include <cstdint>
#include <optional>
#include <string_view>

namespace auspex {

// kSelf: keyd on its own account (checkpoints at start, at rotation and at the end).
enum class Role : uint8_t { kRequest = 1, kResult = 2, kOwner = 3, kSelf = 4 };

enum class Intent : uint8_t {
  // Requests to the coordinator, one a route (wire protocol, section 5).
  kHeartbeat = 1,
  kPoll = 2,
  kRefuse = 3,
  kSubmitResult = 4,
  kFetchReceipt = 5,
  kFetchPackage = 6,
  kUpgrade = 7,
  kRetire = 8,
  kUnbind = 9,
  kGetAttribution = 10,
  kPutAttribution = 11,
  kPrestage = 12,
  kSupportedModels = 13,
  kServeRecovered = 14,
  // A request that named no intent; only ever refused.
  kNone = 15,
  // Results (4.1 and 4.3).
  kSignResult = 32,
  kSignRawText = 33,
  // The journal's own state, as a C2SP tlog-checkpoint note.
  kSignCheckpoint = 48,
  // What the owner did to the key. Nothing is signed.
  kCreateKey = 64,
  kDestroyKey = 65,
  kSetEnrolment = 66,
  kOpenGrant = 67,
  kImportKey = 68,
  kSealKey = 69,
};

enum class Outcome : uint8_t {
  kSigned = 1,   // a signature was released, or could have been: the record came first
  kDone = 2,     // an act of the owner, without a signature
  kRefused = 3,  // nothing was signed; the record has the cause
};

// Acts that need the owner's grant.
enum class OwnerAct : uint8_t { kRetire = 1, kUpgrade = 2, kUnbind = 3 };

// One lower-case word each, for example "submit_result".
std::string_view RoleWord(Role role);
std::string_view IntentWord(Intent intent);
std::string_view OwnerActWord(OwnerAct act);

// The enumerators that octets of a journal may hold; nullopt for any other.
std::optional<Role> RoleOf(uint8_t number);
std::optional<Intent> IntentOf(uint8_t number);
std::optional<Outcome> OutcomeOf(uint8_t number);

// The grant that an intent needs; nullopt when it needs none.
std::optional<OwnerAct> GrantNeededFor(Intent intent);

// Who asks, as the kernel said when the connection was accepted.
struct Caller {
  Role role = Role::kRequest;
  uint32_t pid = 0;
  uint32_t uid = 0;
};

}  // namespace auspex

#endif  // AUSPEX_COMMON_JOURNAL_INTENT_H_
