// The promise takes a template parameter: a braced list has no type.
awaitable<Pair> both() {
    co_return {1, 2};  // bad
}
awaitable<Pair> none() {
    co_return {};  // bad
}
