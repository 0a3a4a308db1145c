// An aggregate temporary in the awaited expression, also through a plain function.
awaitable<void> call() {
    co_await run({.model = "x"});  // bad
    co_await run(Options{"x"});  // bad
    auto reply = co_await start(wrap(Options{.model = "x"}));  // bad
    co_await Runner{"x"}.run();  // bad
    co_return co_await run({});  // bad
}
