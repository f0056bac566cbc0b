// SPDX-License-Identifier: AGPL-3.0-only
// bootstrap, login. (withdraw and key have files of their own.)
#include "cli/bootstrap.h"
#include "cli/verbs/arguments.h"
#include "cli/verbs/withdraw.h"
#include "cli/worker.h"
#include "common/base/cat.h"

namespace auspex::cli {
namespace {

// How long the owner has at the provider's page, in seconds: what keyd grants at most.
constexpr uint32_t kLoginGrantSeconds = 900;

struct BootstrapVerbOptions {
  bool new_key = false;
};

int RunBootstrap(Session& session, const BootstrapVerbOptions& options) {
  Worker worker(session);
  const BootstrapOutcome outcome = Bootstrap(worker, options.new_key);
  if (outcome.exit_code != kExitOk) {
    session.output.Error("bootstrap", outcome.cause, outcome.remedy);
    return outcome.exit_code;
  }
  if (session.output.json()) {
    JsonObject object;
    object["worker_id"] = outcome.worker_id;
    object["trust_tier"] = outcome.trust_tier;
    object["public_key"] = outcome.public_key_hex;
    object["coordinator"] = outcome.base_url;
    object["already_enrolled"] = outcome.already_enrolled;
    session.output.Json(object);
    return kExitOk;
  }
  session.output.Line(outcome.already_enrolled ? "already enrolled; nothing to do" : "enrolled");
  session.output.Fields({{"worker-id", Clean(outcome.worker_id)},
                         {"tier", Cat("T", outcome.trust_tier)},
                         {"pubkey", Clean(outcome.public_key_hex)},
                         {"coordinator", Clean(outcome.base_url)}});
  // With services, or beside a daemon, it is at work already.
  if (!outcome.already_enrolled && worker.daemons().started_any()) {
    const std::string program = session.output.program();
    session.output.Line(Cat("next: ", program, " service install, or ", program, " daemon"));
  }
  return kExitOk;
}

void ShowPrompt(const Session& session, const netd_v1::LoginEvent::Prompt& prompt) {
  // With --json the document is the result; the person reads standard error.
  const std::string text =
      Cat("Open   ", Clean(prompt.verification_uri()), "\nEnter  ", Clean(prompt.user_code()),
          "\nwithin ", prompt.expires_in_seconds() / 60, " minutes. Waiting",
          session.output.terminal().ellipsis());
  if (session.output.json()) {
    session.output.Note(text);
  } else {
    session.output.Line(text);
    std::fflush(stdout);
  }
}

int RunLogin(Session& session) {
  const Output& output = session.output;
  Worker worker(session);
  if (absl::Status status = worker.Need({"stated"}); !status.ok()) {
    output.Error("login", status);
    return kExitFailure;
  }
  const absl::StatusOr<stated_v1::Status> before = worker->WorkerStatus();
  if (!before.ok()) {
    output.Error("login", before.status());
    return kExitFailure;
  }
  if (!before->identity().enrolled()) {
    output.Error("login", "this worker is not enrolled", Cat(output.program(), " bootstrap"));
    return kExitFailure;
  }
  if (before->identity().trust_tier() >= 1) {
    if (output.json()) {
      output.Json(JsonObject{{"changed", false},
                             {"trust_tier", before->identity().trust_tier()},
                             {"account_id", before->identity().account_id()}});
    } else {
      output.Line(Cat("already at tier T", before->identity().trust_tier(), "; nothing to do"));
    }
    return kExitOk;
  }
  absl::Status status = worker.Need({"stated", "keyd", "netd"});
  if (status.ok()) {
    status = worker->OpenGrant(keyd_v1::OWNER_ACT_UPGRADE, before->identity().worker_id(),
                               kLoginGrantSeconds);
  }
  netd_v1::LoginEvent::Done done;
  bool finished = false;
  if (status.ok()) {
    status = worker->Login([&](const netd_v1::LoginEvent& event) {
      if (event.has_prompt()) ShowPrompt(session, event.prompt());
      if (event.has_done()) {
        done = event.done();
        finished = true;
      }
    });
  }
  if (status.ok() && !finished) status = absl::InternalError("netd.Login ended without a result");
  if (!status.ok()) {
    output.Error("login", status,
                 Cat("nothing was changed; run '", output.program(), " login' again"));
    return kExitFailure;
  }
  if (output.json()) {
    output.Json(JsonObject{{"changed", true},
                           {"account_id", done.account_id()},
                           {"old_tier", done.old_tier()},
                           {"trust_tier", done.new_tier()},
                           {"is_new_account", done.is_new_account()}});
    return kExitOk;
  }
  output.Fields(
      {{"tier", Cat("T", done.old_tier(), " -> T", done.new_tier())},
       {"account", Cat(Clean(done.account_id()), done.is_new_account() ? " (new)" : "")}});
  return kExitOk;
}

}  // namespace

void AddIdentityVerbs(CLI::App& app, Chosen& chosen) {
  CLI::App* bootstrap =
      app.add_subcommand("bootstrap", "Make a key if there is none and enrol with the coordinator");
  auto bootstrap_options = std::make_shared<BootstrapVerbOptions>();
  bootstrap->add_flag("--new-key", bootstrap_options->new_key,
                      "Make a key although an existing worker's waits to be taken over");
  bootstrap->footer(
      "Repeating it is harmless. The key never leaves this machine.\n\nExample: auspex bootstrap");
  Runs(bootstrap, chosen, bootstrap_options, RunBootstrap);

  CLI::App* login =
      app.add_subcommand("login", "Bind this worker to your GitHub account (tier T1)");
  login->footer("Example: auspex login");
  Runs(login, chosen, RunLogin);

  AddWithdrawVerb(app, chosen);

  AddKeyVerbs(app, chosen);
}

}  // namespace auspex::cli
