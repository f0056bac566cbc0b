// SPDX-License-Identifier: AGPL-3.0-only
// OutboxSender: sends what stated's outbox holds, several items at a time. Results and refusals go
// before receipts and packages, and the latter never take the last thread, so that slow downloads
// cannot hold up results. Keeps nothing: an item that is not settled when netd ends or stated
// restarts comes again with the next stream. Safe from any thread.
#ifndef AUSPEX_NETD_OUTBOX_SENDER_H_
#define AUSPEX_NETD_OUTBOX_SENDER_H_

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <set>
#include <stop_token>

#include "netd/coordinator.h"
#include "netd/stated_client.h"

namespace auspex {

class OutboxSender {
 public:
  struct Options {
    int threads = 4;               // how often Run is called
    double package_seconds = 600;  // whole limit of a package's download
  };
  // All must outlive the object.
  OutboxSender(Options options, Coordinator& coordinator, StatedClient& stated)
      : options_(options), coordinator_(coordinator), stated_(stated) {}

  // Sends items until `stop`; one call for each thread.
  void Run(std::stop_token stop);
  // Queues an item, waiting while the queue is full (32 items or 4 MiB). False when `stop` was
  // triggered. An item that is queued or under way already is dropped.
  bool Enqueue(stated::v1::OutboxItem item, std::stop_token stop);
  // Forgets what is queued: a new stream brings it again.
  void DropQueued();
  // Nothing queued, nothing under way.
  bool Idle() const;

 private:
  using Queue = std::deque<stated::v1::OutboxItem>;
  bool Take(std::stop_token stop, stated::v1::OutboxItem& item);
  // Sends one item and logs. OUTCOME_NOT_SET when there is nothing to settle.
  stated::v1::SettleRequest Process(const stated::v1::OutboxItem& item, std::stop_token stop);
  // The outcome of a result, refusal or receipt; OUTCOME_NOT_SET when stopped before one was known.
  stated::v1::SettleRequest Exchange(const stated::v1::OutboxItem& item, std::stop_token stop);
  // The same for a package; OUTCOME_NOT_SET too when stated has settled the item itself.
  stated::v1::SettleRequest FetchPackage(const stated::v1::OutboxItem& item, std::stop_token stop);
  void Settle(stated::v1::SettleRequest request, std::stop_token stop);

  const Options options_;
  Coordinator& coordinator_;
  StatedClient& stated_;

  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  Queue urgent_, background_;
  size_t queued_octets_ = 0;
  std::set<uint64_t> under_way_;  // ids being sent, not yet being settled
  int busy_ = 0, background_busy_ = 0;
};

}  // namespace auspex

#endif  // AUSPEX_NETD_OUTBOX_SENDER_H_
