// SPDX-License-Identifier: AGPL-3.0-only
// Exit codes of auspex-keyd-secrets: its whole answer besides the seed. Shared by the helper and
// keyd, which links nothing else of it.
#ifndef AUSPEX_KEYD_SECRET_SERVICE_HELPER_EXIT_H_
#define AUSPEX_KEYD_SECRET_SERVICE_HELPER_EXIT_H_

namespace auspex::keyd {

enum HelperExit : int {
  kHelperOk = 0,
  kHelperUsage = 2,
  kHelperNoItem = 10,        // load, delete: nothing of that name
  kHelperUnreachable = 11,   // no bus, no service, no default collection
  kHelperSeveralItems = 12,  // which one is the worker's cannot be told
  kHelperWrongLength = 13,   // the item's secret is not a seed
  kHelperLocked = 14,        // locked, and unlocking was refused or dismissed
  kHelperItemExists = 15,    // store: there is one already
  kHelperFailed = 16,        // whatever else the service said; the reason is on standard error
};

}  // namespace auspex::keyd

#endif  // AUSPEX_KEYD_SECRET_SERVICE_HELPER_EXIT_H_
