"""Network architectures of the papers, ready to train and convert."""

from snn_keras.applications.convnet import mnist_convnet as mnist_convnet
from snn_keras.applications.mobilenet import mobilenet_v2 as mobilenet_v2
from snn_keras.applications.resnet import resnet18 as resnet18
from snn_keras.applications.resnet import resnet20 as resnet20
from snn_keras.applications.resnet import resnet34 as resnet34
from snn_keras.applications.resnet import resnet50 as resnet50
from snn_keras.applications.vgg import vgg16 as vgg16
from snn_keras.applications.vit import mnist_vit as mnist_vit
