// SPDX-License-Identifier: AGPL-3.0-only
// Counters: how the connection has been doing since the start, for status, for the summary of a
// bounded run, and for the exit code. Safe from any thread.
#ifndef AUSPEX_NETD_COUNTERS_H_
#define AUSPEX_NETD_COUNTERS_H_

#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>

namespace auspex {

class Counters {
 public:
  struct Snapshot {
    uint64_t heartbeats_succeeded = 0, heartbeats_failed = 0;
    uint64_t polls_succeeded = 0, polls_failed = 0,
             polls_without_work = 0;  // a hold is a success without work
    uint64_t accepted = 0, refused = 0, known = 0;
    bool long_polling = false;
    std::string last_error;
    int64_t clock_skew_seconds = 0;

    // At least one heartbeat or poll failed and none at all succeeded.
    bool OnlyFailures() const {
      return heartbeats_failed + polls_failed > 0 && heartbeats_succeeded + polls_succeeded == 0;
    }
    // One line for people.
    std::string Summary() const;
  };
  enum class Offer { kAccepted, kRefused, kKnown };

  // A success that ends an outage logs `connected_again`, once.
  void HeartbeatSucceeded();
  void HeartbeatFailed(std::string_view error);
  void PollSucceeded(bool with_work);
  void PollFailed(std::string_view error);
  void CountOffer(Offer offer);
  void SetLongPolling(bool long_polling);
  // As the coordinator last said; 0 again after the next success.
  void SetClockSkew(int64_t seconds);
  Snapshot Get() const;

 private:
  mutable std::mutex mutex_;
  Snapshot now_;

  // Loops whose last call failed. The time since the first of them failed is an outage, which ends
  // when neither fails any more.
  void Failed(bool& loop);
  void Succeeded(bool& loop);
  bool heartbeat_fails_ = false, poll_fails_ = false;
  std::chrono::steady_clock::time_point outage_since_;
};

}  // namespace auspex

#endif  // AUSPEX_NETD_COUNTERS_H_
