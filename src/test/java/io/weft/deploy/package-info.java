/**
 * Tests of what Weft is deployed with: the chart in {@code helm/weft}, the manifests in {@code k8s}, the images in
 * {@code src/main/docker}. Helm runs as a library; there is no cluster, so an API server's admission is not tested.
 */
package io.weft.deploy;
