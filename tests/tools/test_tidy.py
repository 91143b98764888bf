"""Each rule of tools/tidy_test on a small tree that breaks it."""
import importlib.machinery
import importlib.util
import pathlib

import pytest

PATH = pathlib.Path(__file__).parents[2] / "tools" / "tidy_test"
LOADER = importlib.machinery.SourceFileLoader("tidy_test", str(PATH))
tidy = importlib.util.module_from_spec(importlib.util.spec_from_loader("tidy_test", LOADER))
LOADER.exec_module(tidy)

HEADER = "#pragma once\nnamespace exeat::{room} {{\n{body}\n}}\n"


def problems(tmp_path, files):
    (tmp_path / "CMakeLists.txt").write_text("foreach(room base crypto authz operator cli)\n")
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    return [f"{path}:{line}: {text}" for path, line, text in tidy.check_tree(tmp_path)]


def in_room(tmp_path, body, path="src/authz/x.cc", above=""):
    room = path.split("/")[1]
    text = f"{above}\nnamespace exeat::{room} {{\n{body}\n}}\n"
    return problems(tmp_path, {path: text})


def test_a_clean_tree_has_no_problem(tmp_path):
    files = {"src/base/a.h": HEADER.format(room="base", body="int A();"),
             "src/operator/b.cc": '#include "base/a.h"\nnamespace exeat::ops {}\n'}
    assert problems(tmp_path, files) == []


@pytest.mark.parametrize("line", [
    "auto t = std::chrono::system_clock::now();", "auto t = std::chrono::steady_clock::now();",
    "long t = time(nullptr);", "clock_gettime(CLOCK_MONOTONIC, &now);", "std::thread t;",
    "worker.detach();", "std::this_thread::sleep_for(kTick);", "usleep(5);", "throw Problem();",
    "std::cout << 1;", 'printf("x");', 'popen("ls", "r");', 'std::system("ls");',
    "std::mutex mutex;", "absl::Mutex mutex;", "class SessionManager {};", "struct FileInfo {};",
])
def test_banned_calls_are_named_with_their_line(tmp_path, line):
    found = in_room(tmp_path, line)
    assert len(found) == 1 and found[0].startswith("src/authz/x.cc:3: ")


@pytest.mark.parametrize("line", [
    "// throw, std::thread and time(nullptr) in words", 'Log("std::cout << printf(x)");',
    'auto text = R"(throw system("x"))";', "auto n = std::thread::hardware_concurrency();",
    "auto t = clock.time(now);", "std::jthread t;", "int c = '\"'; // throw",
    "auto t = std::chrono::system_clock::now();  // tidy: allow gRPC wants one",
    "// tidy: allow the kernel's own pace\nusleep(5);", "snprintf(buffer, 3, x);",
    "auto x = 1'000'000; auto y = '\\'';",
])
def test_what_only_looks_banned_is_not(tmp_path, line):
    assert in_room(tmp_path, line) == []


def test_an_allowance_needs_its_why(tmp_path):
    assert in_room(tmp_path, "throw 1;  // tidy: allow ") != []


def test_a_room_may_not_include_one_below_it(tmp_path):
    found = in_room(tmp_path, "", above='#include "cli/run.h"')
    assert found == ["src/authz/x.cc:1: authz may not include cli: it stands below"]
    assert in_room(tmp_path, "", above='#include "base/file.h"') == []
    assert in_room(tmp_path, "", above='// #include "cli/run.h"') == []


def test_a_room_must_be_in_the_list(tmp_path):
    assert "not in CMakeLists.txt" in in_room(tmp_path, "", path="src/attic/x.cc")[0]


def test_openssl_stays_in_crypto(tmp_path):
    above = "#include <openssl/evp.h>"
    assert len(in_room(tmp_path, "", above=above)) == 1
    (tmp_path / "src/authz/x.cc").unlink()
    assert in_room(tmp_path, "", path="src/crypto/x.cc", above=above) == []


def test_headers_have_pragma_once_and_no_foreign_string_view(tmp_path):
    bad = "namespace exeat::base {\nvoid A(absl::string_view a);\n}\n"
    found = problems(tmp_path, {"src/base/a.h": bad})
    assert len(found) == 2 and "string_view" in found[0] and "#pragma once" in found[1]


def test_files_stand_in_the_namespace_of_their_room(tmp_path):
    found = problems(tmp_path, {"src/operator/a.cc": "namespace exeat::operators {}\n"})
    assert found == ["src/operator/a.cc:1: no `namespace exeat::ops`"]


def test_files_are_at_most_500_lines(tmp_path):
    assert in_room(tmp_path, "int a;\n" * 496) == []
    assert "at most 500" in in_room(tmp_path, "int a;\n" * 500)[0]


@pytest.mark.parametrize("text", [
    "see /" + "work/main", "/" + "root/.cache", "/home/" + "ann/x", "from pypi" + ".org",
    "Co-auth" + "ored-by: x", "as iss" + "ue 12 says", "Chat" + "GPT wrote this",
])
def test_words_that_do_not_belong_are_found_in_any_text(tmp_path, text):
    assert len(problems(tmp_path, {"notes.md": text})) == 1


def test_documents_that_are_named_exist(tmp_path):
    found = problems(tmp_path, {
        "docs/a.md": "[b](b.md) [c](https://example.com/c.md) [a](../docs/a.md#x)",
        "src/base/x.cc": "// docs/a.md and docs/z.md\n"})
    assert found == ["docs/a.md:1: docs/b.md does not exist",
                     "src/base/x.cc:1: docs/z.md does not exist"]


def test_every_decision_is_in_the_index(tmp_path):
    found = problems(tmp_path, {"docs/adr/0001-a.md": "", "docs/adr/README.md": "none"})
    assert found == ["docs/adr/README.md:1: 0001-a.md is not in the index"]


def test_functions_are_measured(tmp_path):
    code = ("namespace exeat {\nclass A {\n  int B() const {\n    if (x) {\n    }\n  }\n};\n"
            "int C(int a,\n      int b) {\n  return a;\n}\nconst int d[] = {1,\n2};\n}\n")
    assert list(tidy.functions(code)) == [(3, 4), (8, 4)]
