// SPDX-License-Identifier: AGPL-3.0-only
// What an answer to a result, a refusal or a receipt request makes of its outbox item: the tables
// of wire protocol 5.4, 5.5 and 5.6 with the recommendations W2, W3, W4 and W16. Pure functions,
// any thread. The requests that come back have no id yet.
#ifndef AUSPEX_NETD_OUTBOX_ANSWER_H_
#define AUSPEX_NETD_OUTBOX_ANSWER_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "auspex/stated/v1/stated.pb.h"
#include "common/http/http_message.h"

namespace auspex {

// A 404 on a result is believed only after this many attempts: right after a restart of the
// coordinator it may be wrong.
inline constexpr uint32_t kNotFoundAttempts = 3;
// Largest receipt, in octets.
inline constexpr size_t kMaxReceiptOctets = 128 * 1024;

// `attempt` is the item's own count, 1 for the first.
stated::v1::SettleRequest SettleResult(const HttpResponse& response, uint32_t attempt,
                                       int64_t now_unix);
stated::v1::SettleRequest SettleRefusal(const HttpResponse& response, int64_t now_unix);
stated::v1::SettleRequest SettleReceipt(const HttpResponse& response, int64_t now_unix);

// The two outcomes without an answer.
stated::v1::SettleRequest SettleTransient(std::string_view text, uint32_t retry_after_seconds = 0);
stated::v1::SettleRequest SettleTerminal(std::string_view code, std::string_view text);

// One word for the log: "accepted", "done", "receipt", "never", "terminal", "transient", "held".
std::string_view OutcomeWord(const stated::v1::SettleRequest& request);

}  // namespace auspex

#endif  // AUSPEX_NETD_OUTBOX_ANSWER_H_
