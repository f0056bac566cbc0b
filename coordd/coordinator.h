// SPDX-License-Identifier: AGPL-3.0-only
// Coordinator: the whole lab coordinator without a transport. Handle answers one request; its
// writes belong to an open batch that Flush makes durable, so a reply may leave only after the next
// Flush returned OK (group commit). One thread at a time.
//
//   Reply reply = coordinator.Handle(request);
//   if (!coordinator.Flush().ok()) reply = InternalError();
//   send(reply);
#ifndef AUSPEX_COORDD_COORDINATOR_H_
#define AUSPEX_COORDD_COORDINATOR_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordd/services.h"

namespace auspex::coordd {

class Coordinator {
 public:
  // Opens (or makes) the store, token file and signing key in options.state_dir. `clock` must
  // outlive the object.
  static absl::StatusOr<std::unique_ptr<Coordinator>> Open(Options options, const Clock& clock);

  // Answers one request. Never fails: what goes wrong inside is a 500 whose cause is logged.
  Reply Handle(const Request& request);
  // Largest body that is read for a request with these headers; looks at the credentials where a
  // route takes more than the ordinary cap, so that only those who may send a large body make us
  // hold one.
  size_t BodyLimit(const Request& headers_only);
  // Makes everything that was answered since the last call durable. OK when there was nothing to
  // do.
  absl::Status Flush();
  // Frees places of silent workers (7.5); the number of places. Call about once a second.
  int64_t ExpireSilent();

  // Called whenever work may exist for a held poll.
  void OnWorkChanged(std::function<void()> callback) {
    services_->work_changed = std::move(callback);
  }
  const Options& options() const { return options_; }
  const SigningKey& signing_key() const { return *key_; }

 private:
  explicit Coordinator(Options options) : options_(std::move(options)) {}
  // `work` inside a savepoint of the open batch, its writes undone when it refused.
  Reply InSavepoint(const std::function<Reply()>& work);
  Reply Dispatch(const Request& request);

  Options options_;
  std::unique_ptr<Database> db_;
  std::unique_ptr<MaintainerTokens> tokens_;
  std::unique_ptr<SigningKey> key_;
  std::unique_ptr<Services> services_;
};

}  // namespace auspex::coordd

#endif  // AUSPEX_COORDD_COORDINATOR_H_
