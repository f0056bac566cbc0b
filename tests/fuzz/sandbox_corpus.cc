// SPDX-License-Identifier: AGPL-3.0-only
#include "tests/fuzz/sandbox_corpus.h"

#include <vector>

#include "common/base/cat.h"
#include "tests/runnerd/fixture.h"

namespace auspex {
namespace {

using runnerd::Gzip;
using runnerd::Tar;
using runnerd::TarMember;
using Add = std::function<void(const std::string&, const std::string&)>;

std::string Pax(const std::string& key, const std::string& value) {
  const std::string rest = Cat(" ", key, "=", value, "\n");
  size_t length = rest.size() + 1;
  while (Cat(length, rest).size() != length) length = Cat(length, rest).size();
  return Cat(length, rest);
}

void Archives(const Add& add) {
  const auto tar = [&](const std::string& name, const std::vector<TarMember>& members) {
    add(name, Cat("\x01", Tar(members)));
  };
  const std::vector<TarMember> plain = {{"./", "", '5'},
                                        {"./manifest.json", "{}"},
                                        {"run", "#!/bin/sh\n", '0', 0755},
                                        {"d/e/f", "x"}};
  const std::string plain_tar = Tar(plain);
  tar("plain", plain);
  add("gzip", std::string(1, '\0') + Gzip(plain_tar));
  add("gzip-cut", std::string(1, '\0') + Gzip(plain_tar).substr(0, 60));
  add("gzip-and-more", std::string(1, '\0') + Gzip(plain_tar) + "more");
  add("no-end", Cat("\x01", Tar(plain, false)));
  add("bomb", std::string(1, '\0') + Gzip(Tar({{"zeros", std::string(3 << 20, '\0')}})));
  tar("long-name",
      {{"././@LongLink", std::string(200, 'n') + std::string(1, '\0'), 'L'}, {"n", "x"}});
  tar("pax-path", {{"p", Pax("path", "a/b"), 'x'}, {"n", "x"}});
  tar("pax-size", {{"p", Pax("size", "1"), 'x'}, {"n", "x"}});
  tar("pax-sparse", {{"p", Pax("GNU.sparse.realsize", "1099511627776"), 'x'}, {"n", "x"}});
  tar("pax-global", {{"g", Pax("path", "a"), 'g'}, {"n", "x"}});
  tar("links", {{"l", "", '2', 0777, "/etc"}, {"l/x", "x"}});
  tar("climbing", {{"a/../../x", "x"}});
  const auto stream = [&](const std::string& name, const std::string& said) {
    add(name, Cat("\x02", said));
  };
  stream("stream",
         "file 3 a/b\ndata 2\nxydata 1\nzfile 0 manifest.json\nfile 0 manifest.json\nok 2 3 \n");
  stream("stream-cut", "file 3 a/b\ndata 2\nxyunreadable 1 3 the archive is cut off\n");
  stream("stream-climbs", "file 1 ../x\ndata 1\nx");
  stream("stream-large", "file 18446744073709551615 x\ndata 1\nx");
  stream("stream-after-end", "ok 0 0 \nfile 0 x\n");
  tar("absolute", {{"/x", "x"}});
  tar("twice", {{"a", "x"}, {"./a", "y"}});
  tar("manifest-twice", {{"manifest.json", "x"}, {"manifest.json", "y"}});
  tar("manifest-is-a-folder", {{"manifest.json/x", "x"}, {"manifest.json", "y"}});
  tar("file-as-folder", {{"a", "x"}, {"a/b", "y"}});
  tar("direction", {{"a\xe2\x80\xae"
                     "b",
                     "x"}});
  tar("compiled", {{"a/__pycache__/x", "x"}});
  std::string large = plain_tar;
  large.replace(512 + 124, 12, "\x80\0\0\0\0\0\0\xff\xff\xff\xff\xff", 12);
  add("base-256", Cat("\x01", large));
}

const char* const kManifest =
    R"({"capture":{"raw":true},"executor":{"command":["./run","--share-net","--","x y",""],)"
    R"("package_sha256":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},)"
    R"("experiment_id":"exp","models":[{"id":"m","local_weights_required":false}],)"
    R"("sensitive_content_flags":["red_team"],"tenant_id":"lab"})";

std::string ManifestWith(const std::string& command) {
  return Cat(R"({"executor":{"command":)", command,
             R"(},"experiment_id":"exp","tenant_id":"lab"})");
}

std::vector<std::pair<std::string, std::string>> Manifests() {
  return {
      {"full", kManifest},
      {"least", ManifestWith(R"(["python3"])")},
      {"no-command", ManifestWith("[]")},
      {"nul-in-a-word", ManifestWith(R"(["a\u0000b"])")},
      {"climbing", ManifestWith(R"(["../x"])")},
      {"absolute", ManifestWith(R"(["/bin/sh","-c","--bind / /"])")},
      {"options", ManifestWith(R"(["--bind","/","/","--","--setenv","LD_PRELOAD","x"])")},
      {"surrogate", ManifestWith(R"(["\ud800"])")},
      {"many-words", ManifestWith(Cat(
                         "[\"x\"",
                         [] {
                           std::string words;
                           for (int i = 0; i < 1100; ++i) words += ",\"w\"";
                           return words;
                         }(),
                         "]"))},
      {"pinned", R"({"executor":{"command":["x"]},"experiment_id":"e","tenant_id":"t",)"
                 R"("inference_determinism":{"serving_version_pin":"ollama/1"}})"},
      {"wrong-types", R"({"executor":7,"experiment_id":[],"tenant_id":null})"},
      {"signature", Cat(R"({"maintainer_pubkey":")", std::string(64, 'a'),
                        R"(","sig_v":"auspex-1","signature":")", std::string(86, 'A'), R"(=="})")},
  };
}

void Outputs(const Add& add) {
  const std::vector<std::pair<std::string, std::string>> texts = {
      {"least", R"({"payload":{}})"},
      {"full",
       R"({"schema_version":"0.1","unit_id":"unit-1","completed_at":"2026-07-19T23:21:50Z",)"
       R"("exit_code":-7,"payload":{"b":[1,1.0,-0,1e22,null,true],"a":{"\u00e9":"\ud83d\ude00"}}})"},
      {"raw", R"({"payload":{"raw_response":"text","n":1}})"},
      {"raw-surrogate", R"({"payload":{"raw_response":"\ud800"}})"},
      {"raw-number", R"({"payload":{"raw_response":7}})"},
      {"twice", R"({"payload":{"a":1,"a":2}})"},
      {"not-finite", R"({"payload":{"a":1e999}})"},
      {"deep", Cat(R"({"payload":{"a":)", std::string(126, '['), std::string(126, ']'), "}}")},
      {"surrogate", R"({"payload":{"\udfff":"\ud800"}})"},
      {"verdict", R"({"payload":{},"exit_code":256})"},
      {"time", R"({"payload":{},"completed_at":"2026-02-30T24:00:00+99:99"})"},
      {"bad-utf8", "{\"payload\":{\"a\":\"\xc0\xaf\"}}"},
  };
  for (const auto& [name, text] : texts) {
    add(name, Cat("\x01", text));
    if (name.starts_with("raw")) add(name + "-kept", std::string(1, '\0') + text);
  }
}

void Trees(const Add& add) {
  const auto lines = [](const std::vector<std::pair<std::string, std::string>>& files) {
    std::string text;
    for (const auto& [path, content] : files)
      text += Cat(path, std::string(1, '\0'), content, "\n");
    return text;
  };
  add("empty", "");
  add("order",
      lines({{"a b.txt", "1"}, {"a-b/x", "2"}, {"a.py", "3"}, {"a/b", "4"}, {"a/b.c/d", ""}}));
  add("left-out",
      lines({{"manifest.json", "{}"}, {"manifest.json.sig", "{}"}, {"d/manifest.json", "x"}}));
  add("hidden", lines({{".hidden", "x"}, {".d/.e", "y"}, {"...", "z"}}));
  add("compiled",
      lines({{"a.pyc", "x"}, {"__pycache__/a", "x"}, {"a.pyc.txt", "x"}, {"x__pycache__", "y"}}));
  add("code-points",
      lines({{"\xef\xbf\xbf", "1"}, {"\xf0\x90\x80\x80", "2"}, {"\xc3\xa9", "3"}, {"z", "4"}}));
  add("climbing",
      lines({{"../x", "x"}, {"a/../b", "x"}, {"/abs", "x"}, {"a//b", "x"}, {"a/", "x"}}));
  add("file-as-folder", lines({{"a", "x"}, {"a/b", "y"}}));
}

}  // namespace

void MakeSandboxCorpora(
    const std::function<void(const std::string&, const std::string&, const std::string&)>& add) {
  const auto to = [&add](const std::string& target) {
    return [&add, target](const std::string& name, const std::string& octets) {
      add(target, name, octets);
    };
  };
  Archives(to("archive"));
  for (const auto& [name, text] : Manifests()) {
    add("manifest", name, text);
    add("executor_call", name,
        Cat(text, std::string(1, '\0'), "2026-07-19T12:00:00+00:00", std::string(1, '\0')));
  }
  add("executor_call", "hostile-time",
      Cat(ManifestWith(R"(["x"])"), std::string(1, '\0'), "\",\"x\":\"\n\\\xff",
          std::string(1, '\0')));
  Outputs(to("executor_output"));
  Trees(to("package_tree"));
}

}  // namespace auspex
