// SPDX-License-Identifier: AGPL-3.0-only
// Packages that are bombs, lies or traps. Each costs its unit, with a reason that both sides can
// read, and nothing else: the good package after them is installed and run.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/base/encoding.h"
#include "common/crypto/sha256.h"
#include "tests/e2e/hostile_coordinator.h"
#include "tests/e2e/lab.h"

namespace auspex::e2e {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using Line = HostileCoordinator::Line;
using Request = HostileCoordinator::Request;

// What /bin/sh makes in an empty folder and writes to out.tar.gz.
std::string Made(const std::string& script) {
  TempFolder folder;
  const Finished made =
      RunCommand({"/bin/sh", "-c", "cd \"$1\" && " + script, "sh", folder.path()}, 60);
  EXPECT_EQ(made.code, 0) << made.err;
  return ReadText(folder / "out.tar.gz");
}

struct Trap {
  std::string name;
  std::string octets;
  std::string marker;  // what the reason of the refusal holds
};

std::vector<Trap> Traps() {
  const std::string good =
      Made("echo '{}' >manifest.json; echo x >x; tar -czf out.tar.gz manifest.json x");
  return {
      {"html", "<html>no package here</html>", "package_unavailable"},
      {"empty", "", "package_unavailable"},
      {"cut", good.substr(0, good.size() / 2), "package_unavailable"},
      {"no-trailer", good.substr(0, good.size() - 8), "package_unavailable"},
      {"not-pinned", good, "auto_fetch_digest_mismatch"},
      {"no-manifest", Made("echo x >x; tar -czf out.tar.gz x"), ""},
      {"above", Made("mkdir d; echo x >evil; tar -C d -Pczf out.tar.gz ../evil"), ""},
      {"absolute", Made("echo x >x; tar -Pczf out.tar.gz --transform 's,^x,/tmp/ax-evil,' x"), ""},
      {"link",
       Made("echo '{}' >manifest.json; ln -s /etc/passwd x; tar -czf out.tar.gz manifest.json x"),
       ""},
      {"hard-link",
       Made("echo '{}' >manifest.json; ln manifest.json x; tar -czf out.tar.gz manifest.json x"),
       ""},
      {"pipe", Made("mkfifo x; tar -czf out.tar.gz x"), ""},
      {"bomb", Made("head -c 1073741824 /dev/zero | gzip -1 >out.tar.gz"), ""},
      {"bomb-in-tar", Made("truncate -s 2G zeros; tar -c zeros | gzip -1 >out.tar.gz"), ""},
      {"bomb-twice", Made("head -c 268435456 /dev/zero | gzip -9 | gzip -9 >out.tar.gz"), ""},
      {"sparse", Made("truncate -s 3G zeros; tar -Sczf out.tar.gz --format=gnu zeros"),
       "member 'zeros' is no regular file or folder (type 'S')"},
      {"sparse-pax", Made("truncate -s 3G zeros; tar -Sczf out.tar.gz --format=posix zeros"),
       "(type 'S')"},
      {"twice", Made("echo x >x; tar -cf a.tar x x --hard-dereference; gzip -c a.tar >out.tar.gz"),
       "member 'x' comes twice"},
      {"twice-otherwise", Made("echo x >x; tar -czf out.tar.gz --hard-dereference x ./x"),
       "comes twice"},
      {"set-id", Made("echo x >x; chmod 6755 x; tar -czf out.tar.gz x"), "set-id"},
      {"compiled", Made("mkdir __pycache__; echo x >__pycache__/m.pyc; tar -czf out.tar.gz *"),
       "compiled Python, which the package digest does not cover"},
      {"line-feed", Made(R"(f=$(printf 'a\nb'); echo x >"$f"; tar -czf out.tar.gz a*)"),
       "member 'a?b' has a control character"},
      {"escape", Made(R"(f=$(printf 'a\033]0;evil\007'); echo x >"$f"; tar -czf out.tar.gz a*)"),
       "has a control character"},
      {"right-to-left",
       Made(R"(f=$(printf 'a\342\200\256b'); echo x >"$f"; tar -czf out.tar.gz a*)"),
       "member 'a???b' has an invisible or direction-changing character"},
      {"not-utf-8", Made(R"(f=$(printf 'a\377'); echo x >"$f"; tar -czf out.tar.gz a*)"),
       "has a name that is not UTF-8"},
      {"long-component", Made("f=$(printf '%0200d' 0); echo x >$f; tar -czf out.tar.gz $f"),
       "is too long"},
      {"long-path",
       Made("p=$(printf '%0100d' 0); p=$p/$p/$p/$p/$p/$p; mkdir -p $p; echo x >$p/x; "
            "tar -czf out.tar.gz 0*"),
       "is too long"},
      {"large-pax-header",
       Made("echo x >x; tar -czf out.tar.gz --format=posix "
            "--pax-option=comment=$(printf '%080000d' 0) x"),
       "package_unavailable"},
      {"global-name",
       Made("echo x >x; tar -czf out.tar.gz --format=posix --pax-option=path=evil x"),
       "package_unavailable"},
      {"many", Made("mkdir d; cd d; seq 1 30000 | xargs touch; tar -czf ../out.tar.gz ."), ""},
      {"deep",
       Made("p=d; for i in $(seq 1 120); do p=$p/d; done; mkdir -p $p; tar -czf out.tar.gz d"), ""},
      {"manifest-is-folder", Made("mkdir manifest.json; tar -czf out.tar.gz manifest.json"), ""},
  };
}

TEST(HostilePackages, EachCostsItsUnitAndNothingElse) {
  TempFolder folder;
  HostileCoordinator server;
  Worker worker(folder / "w",
                {.url = server.url(), .slots = 2, .heartbeat_seconds = 0.2, .poll_seconds = 0.02});
  ASSERT_NO_FATAL_FAILURE(worker.Bootstrap());

  std::map<std::string, std::string> archives;  // by manifest hash
  std::map<std::string, Trap> traps;            // by unit
  for (const Trap& trap : Traps()) {
    const std::string manifest = Sha256HexOf(trap.name);
    archives[manifest] = trap.octets;
    traps["trap-" + trap.name] = trap;
    server.Offer("trap-" + trap.name, Json::object(), 1, manifest);
  }
  const std::string endless = Sha256HexOf("endless");
  const std::string missing = Sha256HexOf("missing");
  server.Offer("trap-endless", Json::object(), 1, endless);
  server.Offer("trap-missing", Json::object(), 1, missing);
  const Package noop = Pack("noop", "hostile-one", "hostile-lab");
  // Sorted names, integers and ASCII only: this is the canonical form.
  const std::string good = Sha256HexOf(noop.manifest.dump());
  archives[good] = *Base64Decode(noop.archive_base64);
  server.Offer("good", Json::object(), 1, good);

  std::atomic<size_t> endless_sent = 0;
  server.Attack(
      "package",
      [&](const Request& request, Line& line) {
        const std::string manifest = request.target.substr(request.target.rfind('/') + 1);
        if (manifest == endless) {
          const std::string piece(1 << 20, '\x42');
          line.Send("HTTP/1.1 200 OK\r\nContent-Type: application/gzip\r\n\r\n");
          while (endless_sent < (size_t{200} << 20) && line.Send(piece))
            endless_sent += piece.size();
        } else if (const auto found = archives.find(manifest); found != archives.end()) {
          line.Answer(200, found->second);
        } else {
          line.Answer(404, R"({"detail":{"error":{"code":"package_not_found","message":"no"}}})");
        }
      },
      1'000'000);
  ASSERT_NO_FATAL_FAILURE(worker.StartDaemon());
  const pid_t netd = worker.PidOf("netd"), stated = worker.PidOf("stated"),
              runnerd = worker.PidOf("runnerd");
  EXPECT_TRUE(Eventually(120, [&] { return server.Results().contains("good"); }))
      << worker.Verb({"queue"}).out;
  EXPECT_TRUE(Eventually(60, [&] { return server.Refusals().size() >= traps.size() + 2; }))
      << worker.Verb({"queue"}).out;

  const auto refusals = server.Refusals();
  for (const auto& [unit, trap] : traps) {
    SCOPED_TRACE(unit);
    ASSERT_TRUE(refusals.contains(unit));
    const Json refusal = Json::parse(refusals.at(unit).front());
    EXPECT_EQ(refusal["kind"], "executor_refused") << refusal;
    EXPECT_THAT(refusal["reason"].get<std::string>(), HasSubstr(trap.marker));
    std::printf("%-26s %s\n", unit.c_str(), refusal["reason"].get<std::string>().c_str());
  }
  for (const char* unit : {"trap-endless", "trap-missing"}) {
    ASSERT_TRUE(refusals.contains(unit)) << unit;
    EXPECT_THAT(refusals.at(unit).front(), HasSubstr("package_unavailable"));
  }
  EXPECT_LE(endless_sent, size_t{80} << 20) << "it was read on and on";
  // Nobody fell over or grew, nothing was unpacked where it does not belong.
  EXPECT_EQ(worker.PidOf("netd"), netd);
  EXPECT_EQ(worker.PidOf("stated"), stated);
  EXPECT_EQ(worker.PidOf("runnerd"), runnerd);
  for (const pid_t pid : {netd, stated, runnerd}) EXPECT_LT(AnonymousKib(pid), 64 * 1024);
  EXPECT_THAT(RunCommand({"/bin/sh", "-c", "ls -d /tmp/ax-evil* /tmp/evil* 2>/dev/null; true"}).out,
              IsEmpty());
  EXPECT_EQ(RunCommand({"/bin/ls", worker.home() + "/state/runnerd/packages"}).out, good + "\n");
  EXPECT_THAT(RunCommand({"/bin/ls", worker.home() + "/state/stated/spool"}).out, IsEmpty());
  EXPECT_THAT(server.Unexpected(), IsEmpty());
  EXPECT_EQ(worker.StopDaemon(), 0);
  KillOrphans();
}

}  // namespace
}  // namespace auspex::e2e
