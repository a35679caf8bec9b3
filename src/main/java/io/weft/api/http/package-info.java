/**
 * What every path needs: errors and their bodies, rules of JSON, the API key, limits, probes, the management port, and
 * the model that requests may name.
 */
@NullMarked
package io.weft.api.http;

import org.jspecify.annotations.NullMarked;
